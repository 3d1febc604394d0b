// Keys that hold on every page: the list of keys, search, and the jumps, which are the links of the list.
(() => {
  const map = document.getElementById("key-map");
  if (!map) {
    return;
  }
  const NAME = "single-keys";
  const WAIT_MS = 1500;
  const on = document.getElementById("keys-on");
  const allowed = () => {
    try {
      return localStorage.getItem(NAME) !== "off";
    } catch {
      return true;
    }
  };
  on.checked = allowed();
  on.addEventListener("change", () => {
    try {
      localStorage.setItem(NAME, on.checked ? "on" : "off");
    } catch {
      // Private windows may refuse storage; the keys then stay on.
    }
  });
  const toggle = () => (map.open ? map.close() : map.showModal());
  document.addEventListener("click", (event) => {
    if (event.target.closest("[data-open-keys]")) {
      toggle();
    } else if (event.target === map) {
      map.close();
    }
  });
  const search = () => {
    const fields = [...document.querySelectorAll("main input[type=search]")];
    const field = fields.find((one) => one.checkVisibility());
    if (field) {
      field.focus();
      field.select();
      return;
    }
    const calls = map.querySelector('[data-go="c"]');
    if (calls) {
      window.location.assign(`${calls.href}#search`);
    }
  };
  if (window.location.hash === "#search") {
    search();
  }

  // Before every other listener: a letter after `g` is a jump, and no letter acts for whoever switched them off.
  let going = 0;
  window.addEventListener(
    "keydown",
    (event) => {
      const sign = event.key.length === 1 && event.key !== " ";
      if (!sign || event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, select, textarea, [contenteditable]")) {
        return;
      }
      if (!allowed()) {
        event.stopImmediatePropagation();
        return;
      }
      const jump = Date.now() < going && map.querySelector(`[data-go="${CSS.escape(event.key)}"]`);
      going = 0;
      if (jump) {
        event.preventDefault();
        event.stopImmediatePropagation();
        jump.click();
      } else if (event.key === "g") {
        going = Date.now() + WAIT_MS;
      } else if (event.key === "?") {
        event.preventDefault();
        event.stopImmediatePropagation();
        toggle();
      } else if (map.open) {
        event.stopImmediatePropagation();
      } else if (event.key === "/") {
        event.preventDefault();
        event.stopImmediatePropagation();
        search();
      }
    },
    true,
  );
})();

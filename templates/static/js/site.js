// What every page does: filters that apply themselves, questions before what cannot be undone, copying.
(() => {
  document.addEventListener("change", (event) => {
    const form = event.target.closest("form[data-auto-submit]");
    if (form && event.target.matches("select, input[type=date]")) {
      form.requestSubmit();
    }
  });

  // Empty fields would only make the address long.
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (form.method === "get") {
      form.querySelectorAll("select, input").forEach((field) => {
        if (field.name && field.value === "") {
          field.disabled = true;
        }
      });
      window.setTimeout(() => form.querySelectorAll(":disabled").forEach((field) => (field.disabled = false)), 500);
      return;
    }
    const question = form.dataset.confirm;
    if (question && !window.confirm(question)) {
      event.preventDefault();
    }
  });

  document.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-copy]");
    if (!button) {
      return;
    }
    const source = document.getElementById(button.dataset.copy);
    try {
      await navigator.clipboard.writeText(source.value ?? source.textContent);
      button.textContent = gettext("Copied");
    } catch {
      source.select?.();
    }
  });

  // What scrolls sideways and holds nothing to stop at is reached and scrolled by keyboard too.
  const reachable = () => {
    document.querySelectorAll(".table-responsive").forEach((box) => {
      const scrolls = box.scrollWidth > box.clientWidth && !box.querySelector("a[href], button, input, select");
      if (scrolls) {
        box.setAttribute("tabindex", "0");
      } else {
        box.removeAttribute("tabindex");
      }
    });
  };
  reachable();
  window.addEventListener("resize", reachable);
  document.addEventListener("htmx:afterSettle", reachable);

  // A poll that fails must not fail silently: the page would look alive and be stale.
  document.addEventListener("htmx:sendError", () => document.body.classList.add("is-offline"));
  document.addEventListener("htmx:afterOnLoad", () => document.body.classList.remove("is-offline"));
  document.addEventListener("htmx:responseError", (event) => {
    if (event.detail.xhr.status === 401 || event.detail.xhr.status === 403) {
      window.location.reload();
    }
  });
})();

// The rule editor: line numbers beside the text, lines with mistakes marked, Tab indents, nothing lost by leaving.
(() => {
  document.documentElement.classList.add("scripted");

  const text = document.getElementById("source");
  const gutter = document.getElementById("gutter");
  if (text && gutter) {
    const saved = text.value;
    let wrong = new Set();
    const draw = () => {
      const lines = text.value.split("\n").length;
      const rows = Array.from({ length: lines }, (_, at) => {
        const row = document.createElement("span");
        row.textContent = String(at + 1);
        if (wrong.has(at + 1)) {
          row.className = "wrong";
        }
        return row;
      });
      gutter.replaceChildren(...rows);
      gutter.scrollTop = text.scrollTop;
    };
    const mark = () => {
      const found = document.querySelector("#preview [data-lines]");
      wrong = new Set((found?.dataset.lines ?? "").split(" ").filter(Boolean).map(Number));
      draw();
    };
    text.addEventListener("input", draw);
    text.addEventListener("scroll", () => (gutter.scrollTop = text.scrollTop));
    text.addEventListener("keydown", (event) => {
      // Tab indents only while Shift, Ctrl and Alt are up; Escape first, then Tab leaves the field.
      if (event.key === "Escape") {
        text.dataset.leave = "1";
      } else if (event.key === "Tab" && !event.shiftKey && !text.dataset.leave) {
        event.preventDefault();
        text.setRangeText("  ", text.selectionStart, text.selectionEnd, "end");
        text.dispatchEvent(new Event("input", { bubbles: true }));
      } else {
        delete text.dataset.leave;
      }
    });
    document.addEventListener("htmx:afterSwap", (event) => {
      if (event.target.id === "preview") {
        mark();
      }
    });
    document.addEventListener("click", (event) => {
      const jump = event.target.closest("[data-line]");
      if (jump) {
        const before = text.value.split("\n").slice(0, Number(jump.dataset.line) - 1);
        const start = before.join("\n").length + (before.length ? 1 : 0);
        text.focus();
        text.setSelectionRange(start, start);
        text.scrollTop = Math.max(0, (before.length - 5) * parseFloat(getComputedStyle(text).lineHeight));
      }
    });
    let leaving = false;
    text.form.addEventListener("submit", () => (leaving = true));
    window.addEventListener("beforeunload", (event) => {
      if (!leaving && text.value !== saved) {
        event.preventDefault();
      }
    });
    mark();
  }

  // Selection of many alerts.
  const bulk = document.getElementById("bulk");
  if (bulk) {
    const boxes = () => [...document.querySelectorAll('input[name="alert"][form="bulk"]')];
    const all = document.getElementById("bulk-all");
    const count = document.getElementById("bulk-count");
    const show = () => {
      const chosen = boxes().filter((box) => box.checked).length;
      count.textContent = interpolate(ngettext("%s selected", "%s selected", chosen), [chosen]);
      all.checked = chosen > 0 && chosen === boxes().length;
      all.indeterminate = chosen > 0 && chosen < boxes().length;
    };
    all.addEventListener("change", () => {
      boxes().forEach((box) => (box.checked = all.checked));
      show();
    });
    document.addEventListener("change", (event) => event.target.name === "alert" && show());
    document.addEventListener("htmx:afterSwap", show);
    show();
  }
})();

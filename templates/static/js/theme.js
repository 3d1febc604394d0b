// Runs before the first paint: the page is dark where the system is, unless the person chose otherwise.
(() => {
  const system = window.matchMedia("(prefers-color-scheme: dark)");
  const chosen = () => {
    try {
      return localStorage.getItem("theme") || "auto";
    } catch {
      return "auto";
    }
  };
  const apply = () => {
    const choice = chosen();
    const dark = choice === "dark" || (choice === "auto" && system.matches);
    document.documentElement.setAttribute("data-bs-theme", dark ? "dark" : "light");
    document.querySelectorAll("[data-theme-choice]").forEach((button) => {
      const on = button.dataset.themeChoice === choice;
      button.classList.toggle("active", on);
      button.setAttribute("aria-pressed", String(on));
    });
    document.dispatchEvent(new CustomEvent("theme-changed"));
  };
  apply();
  system.addEventListener("change", apply);
  document.addEventListener("DOMContentLoaded", () => {
    apply();
    document.querySelectorAll("[data-theme-choice]").forEach((button) => {
      button.addEventListener("click", (event) => {
        event.stopPropagation();
        try {
          localStorage.setItem("theme", button.dataset.themeChoice);
        } catch {
          // Private windows may refuse storage; the choice then lasts as long as the page.
        }
        apply();
      });
    });
  });
})();

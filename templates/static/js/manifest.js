// The manifest among the chosen files: its columns and first rows are shown before anything is sent, and what somebody
// says of a column goes with it.
(() => {
  const panel = document.getElementById("manifest-panel");
  const form = document.getElementById("upload");
  if (!panel || !form) {
    return;
  }
  const place = document.getElementById("manifest-preview");
  const token = form.querySelector("[name=csrfmiddlewaretoken]").value;
  const teamField = document.getElementById("id_team");
  const isManifest = (name) => /\.(csv|jsonl|ndjson)$/i.test(name);
  let manifest = null;
  let names = [];
  let asked = 0;
  let state = "none";
  let timer = 0;

  const mapping = () =>
    Object.fromEntries([...place.querySelectorAll("[data-column]")].map((select) => [select.dataset.column, select.value]));

  // Answers may come in another order than they were asked for: only the newest counts.
  const look = async ({ keep }) => {
    asked += 1;
    const mine = asked;
    state = "waiting";
    const body = new FormData();
    body.append("file", manifest.file, manifest.file.name);
    body.append("team", panel.dataset.team || teamField?.value || "");
    body.append("names", JSON.stringify(names));
    if (keep) {
      body.append("mapping", JSON.stringify(mapping()));
    }
    let text = null;
    try {
      const answer = await fetch(panel.dataset.preview, { method: "POST", headers: { "X-CSRFToken": token }, body });
      text = answer.ok ? await answer.text() : null;
    } catch {
      // Said below.
    }
    if (mine !== asked) {
      return;
    }
    const focused = document.activeElement?.id;
    if (text === null) {
      state = "unready";
      place.textContent = panel.dataset.lost;
      return;
    }
    place.innerHTML = text;
    state = place.querySelector("[data-ready=yes]") ? "ready" : "unready";
    const problem = document.getElementById("upload-problem");
    if (state === "ready" && [panel.dataset.unready, panel.dataset.waiting].includes(problem.textContent)) {
      problem.textContent = "";
      problem.classList.add("d-none");
    }
    if (focused?.startsWith("m-")) {
      document.getElementById(focused)?.focus();
    }
  };

  place.addEventListener("change", () => look({ keep: true }));
  teamField?.addEventListener("change", () => manifest && look({ keep: false }));

  window.ccManifest = {
    // The files were chosen anew. Folders come file by file, so wait until no more come.
    chosen(items) {
      window.clearTimeout(timer);
      const found = items.filter((item) => isManifest(item.path) && !item.done).pop() || null;
      const archives = items.some((item) => /\.zip$/i.test(item.path));
      // What lies in archives is not known yet, and would look as if it were missing.
      const others = archives ? [] : items.filter((item) => !isManifest(item.path)).map((item) => item.path);
      const same = found?.file === manifest?.file && others.length === names.length;
      panel.classList.toggle("d-none", !found);
      if (same) {
        return;
      }
      const keep = found?.file === manifest?.file;
      [manifest, names] = [found, others];
      state = found ? "waiting" : "none";
      if (found) {
        timer = window.setTimeout(() => look({ keep }), 150);
      }
    },
    // What keeps the upload from starting; empty where nothing does.
    obstacle() {
      return state === "waiting" ? panel.dataset.waiting : state === "unready" ? panel.dataset.unready : "";
    },
    mapping: (item) => (item.file === manifest?.file && state === "ready" ? JSON.stringify(mapping()) : ""),
  };
})();

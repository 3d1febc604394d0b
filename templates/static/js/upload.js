// Uploading a batch: two files at a time in resumable pieces (tus), each with its own progress. A broken connection is
// tried again; a closed browser goes on where it stopped when the same file is chosen on the batch's page.
(() => {
  const form = document.getElementById("upload");
  if (!form) {
    return;
  }
  const byId = (id) => document.getElementById(id);
  const [input, drop, list, problem, total, send] = ["id_files", "drop", "items", "upload-problem", "total", "send"].map(byId);
  const token = form.querySelector("[name=csrfmiddlewaretoken]").value;
  const received = JSON.parse(byId("received")?.textContent || "[]");
  const chosen = [];
  const TRIES = 3;
  const PIECE_BYTES = 8 * 1024 * 1024;
  const PAUSES = [0, 1000, 3000, 10000];
  const AT_ONCE = 2;
  let busy = false;

  document.querySelectorAll(".js-only").forEach((element) => element.classList.remove("d-none"));
  const isManifest = (name) => /\.(csv|jsonl|ndjson)$/i.test(name);
  const bytes = (count) => {
    const units = ["B", "kB", "MB", "GB"];
    let unit = 0;
    while (count >= 1000 && unit < 3) {
      count /= 1000;
      unit += 1;
    }
    return `${count >= 10 || unit === 0 ? count.toFixed(0) : count.toFixed(1)} ${units[unit]}`;
  };
  const complain = (text) => {
    problem.textContent = text;
    problem.classList.toggle("d-none", !text);
  };

  const render = () => {
    byId("chosen").classList.toggle("d-none", chosen.length === 0);
    const size = chosen.reduce((sum, item) => sum + item.file.size, 0);
    byId("chosen-count").textContent = interpolate(ngettext("%(count)s file, %(size)s", "%(count)s files, %(size)s", chosen.length), { count: chosen.length, size: bytes(size) }, true);
    window.ccManifest?.chosen(chosen);
  };
  const row = (item) => {
    const element = document.createElement("div");
    element.className = "upload-item";
    const name = document.createElement("span");
    name.className = "name";
    name.textContent = item.path;
    name.title = item.path;
    const bar = document.createElement("div");
    bar.className = "progress";
    bar.append(document.createElement("div"));
    bar.firstChild.className = "progress-bar";
    const state = document.createElement("span");
    state.className = "small text-secondary text-end tnum";
    state.textContent = isManifest(item.path) ? gettext("manifest") : bytes(item.file.size);
    element.append(name, bar, state);
    return { element, bar: bar.firstChild, state };
  };
  const add = (file, path) => {
    const known = chosen.some((item) => item.path === path && item.file.size === file.size);
    const there = received.some((item) => item.name === path && (item.size === file.size || isManifest(path)));
    if (known || there || /(^|\/)(\.|__MACOSX|Thumbs\.db)/.test(path)) {
      return;
    }
    const item = { file, path, sent: 0, done: false };
    item.view = row(item);
    chosen.push(item);
    list.append(item.view.element);
  };
  const addAll = (files) => {
    [...files].forEach((file) => add(file, file.webkitRelativePath || file.name));
    complain("");
    render();
  };

  // A dropped folder arrives as an entry that must be walked; browsers hand out at most 100 names at a time.
  const walk = async (entry, prefix = "") => {
    if (entry.isFile) {
      const file = await new Promise((resolve, reject) => entry.file(resolve, reject));
      add(file, prefix + entry.name);
    } else if (entry.isDirectory) {
      const reader = entry.createReader();
      for (;;) {
        const found = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
        if (!found.length) {
          break;
        }
        for (const child of found) {
          await walk(child, `${prefix}${entry.name}/`);
        }
      }
    }
  };
  ["dragenter", "dragover"].forEach((name) =>
    drop.addEventListener(name, (event) => {
      event.preventDefault();
      drop.classList.add("is-over");
    }),
  );
  ["dragleave", "drop"].forEach((name) => drop.addEventListener(name, () => drop.classList.remove("is-over")));
  drop.addEventListener("drop", async (event) => {
    event.preventDefault();
    const entries = [...event.dataTransfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
    if (entries.length) {
      for (const entry of entries) {
        await walk(entry);
      }
      complain("");
      render();
    } else {
      addAll(event.dataTransfer.files);
    }
  });
  input.addEventListener("change", () => {
    addAll(input.files);
    input.value = "";
  });
  byId("clear").addEventListener("click", () => {
    chosen.length = 0;
    list.replaceChildren();
    render();
  });

  const showTotal = () => {
    const all = chosen.reduce((sum, item) => sum + item.file.size, 0) || 1;
    const sent = chosen.reduce((sum, item) => sum + item.sent, 0);
    const percent = Math.round((100 * sent) / all);
    total.classList.remove("d-none");
    total.setAttribute("aria-valuenow", String(percent));
    total.firstElementChild.style.width = `${percent}%`;
  };
  const post = (url, body, onProgress) =>
    new Promise((resolve, reject) => {
      const request = new XMLHttpRequest();
      request.open("POST", url);
      request.setRequestHeader("X-CSRFToken", token);
      request.setRequestHeader("Accept", "application/json");
      request.upload.addEventListener("progress", (event) => onProgress?.(event.loaded, event.total));
      request.addEventListener("load", () => {
        let answer = {};
        try {
          answer = JSON.parse(request.responseText);
        } catch {
          // An error page of a proxy; the status says enough.
        }
        if (request.status < 300) {
          resolve(answer);
        } else {
          const error = new Error(answer.message || interpolate(gettext("The server answered with %s."), [request.status]));
          error.passing = request.status >= 500 || request.status === 429;
          reject(error);
        }
      });
      request.addEventListener("error", () => {
        const error = new Error(gettext("The connection was lost."));
        error.passing = true;
        reject(error);
      });
      request.send(body);
    });
  const progress = (item, sent) => {
    const share = item.file.size ? sent / item.file.size : 1;
    item.sent = Math.min(item.file.size, sent);
    item.view.bar.style.width = `${100 * share}%`;
    item.view.state.textContent = share < 1 ? `${Math.round(100 * share)} %` : gettext("storing");
    showTotal();
  };
  const finished = (item, state, reason) => {
    item.done = true;
    item.sent = item.file.size;
    item.view.bar.style.width = "100%";
    item.view.bar.classList.add(state === "refused" ? "bg-red" : "bg-green");
    item.view.state.textContent = state === "refused" ? gettext("refused") : gettext("sent");
    item.view.state.title = reason || "";
    showTotal();
  };
  const sendManifest = async (item, url) => {
    for (let attempt = 1; ; attempt += 1) {
      const body = new FormData();
      body.append("path", item.path);
      body.append("mapping", window.ccManifest?.mapping(item) || "");
      body.append("file", item.file, item.file.name);
      try {
        const answer = await post(url, body, (loaded, all) => progress(item, (item.file.size * loaded) / (all || 1)));
        finished(item, answer.state, answer.reason);
        return;
      } catch (error) {
        if (!error.passing || attempt >= TRIES) {
          item.view.bar.classList.add("bg-red");
          item.view.state.textContent = gettext("failed");
          throw error;
        }
        item.view.state.textContent = gettext("again …");
        await new Promise((resolve) => window.setTimeout(resolve, 1000 * attempt));
      }
    }
  };
  const sendInPieces = (item, endpoint) =>
    new Promise((resolve, reject) => {
      const upload = new window.tus.Upload(item.file, {
        endpoint,
        chunkSize: PIECE_BYTES,
        retryDelays: PAUSES,
        headers: { "X-CSRFToken": token },
        metadata: { filename: item.path },
        // The same file in another batch is another upload.
        fingerprint: async () => ["callcenter", endpoint, item.path, item.file.size, item.file.lastModified].join("|"),
        removeFingerprintOnSuccess: true,
        onProgress: (sent) => progress(item, sent),
        onSuccess: ({ lastResponse }) => {
          finished(item, lastResponse?.getHeader("Callcenter-Row-State") || "");
          resolve();
        },
        onError: (error) => {
          const answer = error.originalResponse;
          const refused = answer?.getStatus() === 413;
          if (refused) {
            finished(item, "refused", answer.getBody());
            resolve();
            return;
          }
          item.view.bar.classList.add("bg-red");
          item.view.state.textContent = gettext("failed");
          reject(new Error(answer ? answer.getBody() || interpolate(gettext("The server answered with %s."), [answer.getStatus()]) : gettext("The connection was lost.")));
        },
      });
      upload
        .findPreviousUploads()
        .then((found) => {
          if (found.length) {
            upload.resumeFromPreviousUpload(found[0]);
          }
          upload.start();
        })
        .catch(reject);
    });

  let addresses = form.dataset.file ? { file: form.dataset.file, uploads: form.dataset.uploads, close: form.dataset.close, page: form.dataset.page } : null;
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (busy) {
      return;
    }
    if (!chosen.length && !form.dataset.file) {
      complain(gettext("Choose at least one recording or a zip archive."));
      return;
    }
    const obstacle = window.ccManifest?.obstacle();
    if (obstacle) {
      complain(obstacle);
      return;
    }
    busy = true;
    send.disabled = true;
    complain("");
    try {
      if (!addresses) {
        const fields = new FormData(form);
        fields.delete("files");
        fields.delete("manifest");
        addresses = await post(form.dataset.new, fields);
      }
      // The manifest first: then what it says is known before the first recording is looked at.
      const waiting = chosen.filter((item) => !item.done);
      const queue = [...waiting.filter((i) => isManifest(i.path)), ...waiting.filter((i) => !isManifest(i.path))];
      for (const item of queue.filter((i) => isManifest(i.path))) {
        await sendManifest(item, addresses.file);
      }
      const files = queue.filter((i) => !i.done);
      const failures = [];
      const work = async () => {
        for (let item = files.shift(); item; item = files.shift()) {
          try {
            await sendInPieces(item, addresses.uploads);
          } catch (error) {
            failures.push(`${item.path}: ${error.message}`);
          }
        }
      };
      await Promise.all(Array.from({ length: AT_ONCE }, work));
      if (failures.length) {
        throw new Error(interpolate(
            ngettext(
              "%(count)s file(s) did not arrive. %(first)s Press the button to try them again; the others are kept.",
              "%(count)s file(s) did not arrive. %(first)s Press the button to try them again; the others are kept.",
              failures.length,
            ),
            { count: failures.length, first: failures[0] },
            true,
          ));
      }
      await post(addresses.close, new FormData(form));
      window.removeEventListener("beforeunload", warn);
      window.location.assign(addresses.page);
    } catch (error) {
      complain(error.message);
      send.disabled = false;
      busy = false;
    }
  });
  const warn = (event) => {
    if (busy) {
      event.preventDefault();
    }
  };
  window.addEventListener("beforeunload", warn);
})();

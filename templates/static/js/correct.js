// Correcting on the call page: an editor inside each turn, saved as one types, with the sound at the cursor.
(() => {
  const player = window.ccCall;
  const transcript = document.getElementById("transcript");
  if (!player || !transcript || transcript.dataset.correct === undefined) {
    return;
  }
  const byId = (id) => document.getElementById(id);
  const state = byId("save-state");
  const keysButton = byId("keys-button");
  const source = new URLSearchParams(window.location.search).get("from") || "";
  const PAUSE_MS = 900;
  const RETRY_MS = 5000;
  let editor = null;

  const say = (text, kind = "") => {
    state.textContent = text;
    state.className = `small ${kind}`;
  };
  const token = () => document.querySelector("#correct-bar [name=csrfmiddlewaretoken]").value;
  const post = async (url, values) => {
    const body = new URLSearchParams({ ...values, csrfmiddlewaretoken: token() });
    const answer = await fetch(url, { method: "POST", body, headers: { Accept: "application/json", "X-Editor": "1" } });
    const told = answer.headers.get("Content-Type") || "";
    if (answer.redirected || !told.includes("application/json")) {
      return { state: "refused", message: answer.redirected ? gettext("you are signed out; sign in in another tab") : interpolate(gettext("the server answered %s"), [answer.status]) };
    }
    return answer.json();
  };

  // The text is rendered by the server; after a change its parts are fetched and exchanged, the sound plays on.
  const renew = async (key = "") => {
    editor = null;
    const answer = await fetch(window.location.href, { headers: { "X-Editor": "1" } });
    if (!answer.ok || answer.redirected) {
      say(gettext("The page could not be renewed; load it again."), "text-danger");
      return;
    }
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    document.querySelectorAll("[data-live]").forEach((old) => {
      const now = fresh.getElementById(old.id);
      if (now) {
        old.replaceChildren(...now.childNodes);
      }
    });
    const bar = fresh.getElementById("next-segment");
    if (bar && byId("next-segment")) {
      byId("next-segment").href = bar.href;
    }
    player.renew();
    const turn = key && transcript.querySelector(`[data-key="${key}"]`);
    if (turn) {
      player.point(turn);
    }
  };

  const caretWord = (area) => area.value.slice(0, area.selectionStart).split(/\s+/).length - 1;
  const wordsOf = (text) => text.split(/\s+/).filter(Boolean);

  class Editor {
    constructor(turn, form) {
      this.turn = turn;
      this.key = turn.dataset.key;
      this.form = form;
      // Not `form.action`: the buttons of that name hide it.
      this.url = form.getAttribute("action");
      this.area = form.querySelector("textarea");
      this.saved = this.area.value;
      this.spans = [...form.querySelectorAll("[data-word-choice] option")].map((o) => 1000 * Number(o.dataset.start));
      this.lastWord = -1;
      this.running = null;
      this.failed = "";
      this.area.addEventListener("input", () => this.typed());
      this.area.addEventListener("click", () => this.follow(true));
      this.area.addEventListener("keyup", (event) => {
        if (event.key.startsWith("Arrow") || event.key === "Home" || event.key === "End") {
          this.follow(false);
        }
      });
      form.addEventListener("submit", (event) => {
        event.preventDefault();
        this.act(event.submitter?.value || "text");
      });
      form.querySelectorAll(".d-none[data-cancel], .d-none[data-split-here]").forEach((b) => b.classList.remove("d-none"));
      form.querySelector("[data-cancel]").addEventListener("click", () => this.close());
      form.querySelector("[data-split-here]").addEventListener("click", () => this.split());
      form.querySelectorAll("[data-keep]").forEach((b) => b.addEventListener("click", () => this.settle(b.dataset.keep)));
      form.querySelector("[data-word-choice]").addEventListener("change", (event) => {
        const chosen = event.target.selectedOptions[0];
        form.elements.start.value = chosen.dataset.start;
        form.elements.end.value = chosen.dataset.end;
        player.seek(1000 * Number(chosen.dataset.start));
      });
    }

    get dirty() {
      return this.area.value !== this.saved;
    }

    typed() {
      say(gettext("Not saved yet"));
      window.clearTimeout(this.timer);
      this.timer = window.setTimeout(() => this.save(), PAUSE_MS);
    }

    // The sound follows the cursor: where it stands, playing begins. A click also moves a sound that is playing.
    follow(always) {
      const word = Math.min(Math.max(0, caretWord(this.area)), this.spans.length - 1);
      if (word !== this.lastWord && this.spans[word] !== undefined && (always || player.audio.paused)) {
        this.lastWord = word;
        player.seek(this.spans[word]);
      }
    }

    values(action) {
      const values = { from: source, action };
      for (const name of ["digest", "session", "party", "number", "start", "end"]) {
        values[name] = this.form.elements[name].value;
      }
      values.text = this.area.value;
      return values;
    }

    // One save at a time; what was typed meanwhile is saved after it. Answers whether everything is saved.
    async save() {
      window.clearTimeout(this.timer);
      if (this.running) {
        await this.running;
      }
      if (!this.dirty) {
        return !this.failed;
      }
      this.running = this.send();
      const done = await this.running;
      this.running = null;
      return done && (this.dirty ? this.save() : true);
    }

    async send() {
      const text = this.area.value;
      say(gettext("Saving …"));
      let answer;
      try {
        answer = await post(this.url, this.values("text"));
      } catch {
        say(gettext("Not saved: the server cannot be reached. It is tried again."), "text-danger");
        this.timer = window.setTimeout(() => this.save(), RETRY_MS);
        return false;
      }
      if (answer.state === "saved") {
        this.failed = "";
        this.saved = text;
        this.form.elements.digest.value = answer.digest;
        this.spans = answer.words.map((word) => word[1]);
        say(answer.pending ? gettext("Saved; waits for approval") : gettext("Saved"), "text-success");
        return true;
      }
      this.refused(answer);
      return false;
    }

    refused(answer) {
      this.failed = answer.message;
      say(interpolate(gettext("Not saved: %s"), [answer.message]), "text-danger");
      if (answer.state !== "conflict") {
        return;
      }
      const box = this.form.querySelector("[data-conflict]");
      box.querySelector("[data-conflict-text]").textContent = interpolate(gettext("%s Your text is still here."), [answer.message]);
      box.querySelector("[data-theirs]").textContent = answer.theirs;
      box.querySelectorAll("[data-keep]").forEach((button) => button.classList.toggle("d-none", answer.gone));
      box.classList.remove("d-none");
      this.theirs = answer;
    }

    async settle(whose) {
      this.form.elements.digest.value = this.theirs.digest;
      this.form.elements.session.value = window.crypto.randomUUID?.() || "";
      this.form.querySelector("[data-conflict]").classList.add("d-none");
      this.failed = "";
      if (whose === "theirs") {
        this.area.value = this.theirs.theirs;
        this.saved = this.area.value;
        say(gettext("Nothing of yours was saved."));
      } else {
        this.saved = this.theirs.theirs;
        await this.save();
      }
      this.area.focus();
    }

    async split() {
      const at = caretWord(this.area);
      if (await this.save()) {
        const number = this.form.elements.number;
        number.replaceChildren(...wordsOf(this.area.value).map((word, n) => new Option(word, n)));
        number.value = String(at);
        await this.act("split");
      }
    }

    async act(action) {
      if (!(await this.save())) {
        return;
      }
      if (action === "text") {
        await this.close();
        return;
      }
      await this.send_action(action);
    }

    async send_action(action) {
      const answer = await tell(this.url, this.values(action));
      if (answer.state === "saved") {
        await shut(this, action === "confirm");
      } else {
        this.refused(answer);
      }
    }

    async close() {
      if (await this.save()) {
        await shut(this, false);
      }
    }
  }

  const tell = async (url, values) => {
    say(gettext("Saving …"));
    try {
      const answer = await post(url, values);
      if (answer.state === "saved") {
        say(answer.pending ? gettext("Saved; waits for approval") : gettext("Saved"), "text-success");
      }
      return answer;
    } catch {
      return { state: "refused", message: gettext("the server cannot be reached") };
    }
  };

  const shut = async (closing, onwards) => {
    editor = null;
    await renew(closing.key);
    if (onwards && byId("next-segment")) {
      window.location.assign(byId("next-segment").href);
    }
  };

  const open = async (turn) => {
    if (editor && !(await editor.save())) {
      return;
    }
    if (editor) {
      const key = turn.dataset.key;
      editor = null;
      await renew();
      turn = transcript.querySelector(`[data-key="${key}"]`);
    }
    const link = turn?.querySelector("a.edit");
    if (!link) {
      return;
    }
    let answer;
    try {
      answer = await fetch(`${link.getAttribute("href")}?from=${source}`, { headers: { "X-Editor": "1" } });
    } catch {
      say(gettext("The server cannot be reached."), "text-danger");
      return;
    }
    if (!answer.ok || answer.redirected) {
      const told = answer.headers.get("Content-Type")?.includes("json") ? (await answer.json()).message : gettext("The turn cannot be opened.");
      say(told, "text-danger");
      return;
    }
    const parsed = new DOMParser().parseFromString(await answer.text(), "text/html");
    const form = document.importNode(parsed.querySelector("form"), true);
    const text = turn.querySelector(".turn-text");
    text.classList.add("d-none");
    text.after(form);
    turn.classList.add("is-edited");
    player.point(turn);
    editor = new Editor(turn, form);
    if (player.audio.paused) {
      player.seek(Number(turn.dataset.start));
    }
    editor.area.focus({ preventScroll: true });
    editor.area.setSelectionRange(0, 0);
    say("");
  };

  const doubtful = (step) => {
    const all = [...transcript.querySelectorAll(".turn")];
    const here = all.indexOf(player.current());
    const order = step > 0 ? all.slice(here + 1) : all.slice(0, Math.max(0, here)).reverse();
    return order.find((turn) => turn.dataset.doubtful !== undefined) || null;
  };
  const goDoubtful = async (step, { edit = false } = {}) => {
    const turn = doubtful(step);
    if (!turn) {
      say(step > 0 ? gettext("No doubtful turn after this one.") : gettext("No doubtful turn before this one."));
      return;
    }
    player.point(turn);
    player.seek(Number(turn.dataset.start), { play: !edit });
    if (edit) {
      await open(turn);
    }
  };
  const confirm = async () => {
    const turn = player.current();
    const link = turn?.querySelector("a.edit");
    if (!link || (editor && !(await editor.save()))) {
      return;
    }
    const answer = await tell(link.getAttribute("href"), { action: "confirm", digest: turn.dataset.digest, from: source });
    if (answer.state !== "saved") {
      say(interpolate(gettext("Not saved: %s"), [answer.message]), "text-danger");
      return;
    }
    say(gettext("Noted: this turn is right"), "text-success");
    await shut({ key: turn.dataset.key }, true);
  };
  const undo = async () => {
    if (editor && !(await editor.save())) {
      return;
    }
    const answer = await tell(byId("undo").form.action, {});
    say(answer.message, answer.state === "done" ? "text-success" : "text-danger");
    if (answer.state === "done") {
      await renew(player.current()?.dataset.key);
    }
  };
  const back = () => player.seek(Math.max(0, 1000 * player.audio.currentTime - 2000));

  keysButton.classList.remove("d-none");
  byId("undo").form.addEventListener("submit", (event) => {
    event.preventDefault();
    undo();
  });
  transcript.addEventListener("click", (event) => {
    const link = event.target.closest("a.edit");
    if (link && !event.ctrlKey && !event.metaKey && !event.shiftKey) {
      event.preventDefault();
      event.stopPropagation();
      open(link.closest(".turn"));
    }
  });

  const typing = {
    KeyP: () => player.toggle(),
    KeyB: back,
    KeyS: () => editor.split(),
    KeyN: async () => {
      if (await editor.save()) {
        const at = doubtful(1);
        const key = at?.dataset.key;
        await shut(editor, false);
        const turn = key && transcript.querySelector(`[data-key="${key}"]`);
        if (turn) {
          await open(turn);
        } else {
          say(gettext("No doubtful turn after this one."));
        }
      }
    },
  };
  const reading = {
    b: back,
    n: () => goDoubtful(1),
    p: () => goDoubtful(-1),
    e: () => player.current() && open(player.current()),
    r: confirm,
    u: undo,
    j: () => byId("next-segment")?.click(),
  };
  document.addEventListener("keydown", (event) => {
    const inside = editor && editor.form.contains(event.target);
    if (inside && event.altKey && !event.ctrlKey && !event.metaKey && typing[event.code]) {
      event.preventDefault();
      typing[event.code]();
    } else if (inside && event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      editor.act("text");
    } else if (inside && event.key === "Escape") {
      event.preventDefault();
      editor.close();
    } else if (
      !inside && !event.ctrlKey && !event.metaKey && !event.altKey && reading[event.key] &&
      !event.target.closest("input, select, textarea")
    ) {
      event.preventDefault();
      reading[event.key]();
    }
  });
  window.addEventListener("beforeunload", (event) => {
    if (editor?.dirty) {
      event.preventDefault();
    }
  });
})();

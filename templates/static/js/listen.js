// Listening: passing over silence, finding words in the call, sharing a moment, comments that follow the playhead.
(() => {
  const call = window.ccCall;
  if (!call) {
    return;
  }
  const byId = (id) => document.getElementById(id);
  const { audio, seek } = call;
  const clockText = (ms) => {
    const seconds = Math.floor(ms / 1000);
    const [h, m, s] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60];
    const two = (value) => String(value).padStart(2, "0");
    return h ? `${h}:${two(m)}:${two(s)}` : `${m}:${two(s)}`;
  };

  // Silence is what lies between the turns of all parties; a little of it stays, so that nobody is cut off.
  const skip = byId("skip-silence");
  const LEAST = 1500;
  const LEAD = 250;
  const silences = () => {
    const spans = [...document.querySelectorAll("#transcript .turn")]
      .map((turn) => [Number(turn.dataset.start), Number(turn.dataset.end)])
      .sort((a, b) => a[0] - b[0]);
    const found = [];
    let end = 0;
    for (const [from, to] of spans) {
      if (from - end > LEAST) {
        found.push([end + LEAD, from - LEAD]);
      }
      end = Math.max(end, to);
    }
    return found;
  };
  let gaps = silences();
  try {
    skip.checked = window.localStorage.getItem("skip-silence") === "yes";
  } catch {
    // A browser that keeps nothing starts with the switch off.
  }
  skip.addEventListener("change", () => {
    gaps = silences();
    try {
      window.localStorage.setItem("skip-silence", skip.checked ? "yes" : "no");
    } catch {
      // Nothing to keep it in.
    }
  });
  audio.addEventListener("timeupdate", () => {
    const now = audio.currentTime * 1000;
    if (skip.checked && !audio.paused) {
      const gap = gaps.find(([from, to]) => now >= from && now < to - 100);
      if (gap) {
        seek(gap[1]);
      }
    }
  });

  // Comments are written beside the playhead, until somebody types another time.
  const moment = () => byId("comment-at");
  let typed = false;
  document.addEventListener("input", (event) => {
    typed = typed || event.target === moment();
  });
  const follow = () => {
    if (!typed && moment() && document.activeElement !== moment()) {
      moment().value = clockText(audio.currentTime * 1000);
    }
  };
  audio.addEventListener("timeupdate", follow);
  audio.addEventListener("seeked", follow);
  document.addEventListener("htmx:afterSwap", (event) => {
    if (event.target.id === "comments") {
      typed = false;
    }
  });

  const shared = byId("shared");
  byId("share").addEventListener("click", async () => {
    const address = new URL(window.location.href);
    address.search = "";
    address.searchParams.set("t", String(Math.round(audio.currentTime * 1000)));
    const turn = call.current();
    address.hash = turn ? turn.id : "";
    try {
      await navigator.clipboard.writeText(address.href);
      shared.textContent = gettext("Link copied");
    } catch {
      // Without the right to write there, the address bar is where a link can be copied from.
      window.history.replaceState(null, "", address);
      shared.textContent = gettext("The link stands in the address bar");
    }
    window.setTimeout(() => {
      shared.textContent = "";
    }, 4000);
  });

  // A note to the agent is about the moment that is being heard when the link is followed.
  const coach = byId("coach");
  const aim = () => {
    const address = new URL(coach.href);
    address.searchParams.set("t", String(Math.round(audio.currentTime * 1000)));
    coach.href = address.href;
  };
  ["pointerdown", "focus", "click"].forEach((name) => coach?.addEventListener(name, aim));

  const box = byId("find-box");
  if (!box) {
    return;
  }
  box.classList.remove("d-none");
  const [input, told] = [byId("find"), byId("found")];
  const plain = (text) => text.toLowerCase().replace(/[^\p{L}\p{N}']+/gu, "");
  let places = [];
  let at = -1;
  const clear = () => {
    document.querySelectorAll("#transcript .w.found, #transcript .w.found-now").forEach((word) => {
      word.classList.remove("found", "found-now");
    });
    places = [];
    at = -1;
    told.textContent = "";
  };
  const wordsOf = () =>
    [...document.querySelectorAll("#transcript .turn .w")]
      .map((element) => ({ element, text: plain(element.textContent) }))
      .filter((word) => word.text);
  const search = () => {
    clear();
    const wanted = input.value.split(/\s+/).map(plain).filter(Boolean);
    if (!wanted.length) {
      return;
    }
    const all = wordsOf();
    const fits = (start) =>
      wanted.every((text, index) => {
        const word = all[start + index];
        // The last word may still be in the middle of being typed.
        return word && (index === wanted.length - 1 ? word.text.startsWith(text) : word.text === text);
      });
    for (let start = 0; start + wanted.length <= all.length; start += 1) {
      if (fits(start)) {
        const place = all.slice(start, start + wanted.length).map((word) => word.element);
        place.forEach((element) => element.classList.add("found"));
        places.push(place);
      }
    }
    told.textContent = places.length ? `${places.length}` : gettext("none");
  };
  const go = (step) => {
    if (!places.length) {
      return;
    }
    places[at]?.forEach((element) => element.classList.remove("found-now"));
    at = (at + step + places.length) % places.length;
    places[at].forEach((element) => element.classList.add("found-now"));
    told.textContent = interpolate(gettext("%(at)s of %(all)s"), { at: at + 1, all: places.length }, true);
    seek(Number(places[at][0].dataset.s));
    places[at][0].scrollIntoView({ block: "center", behavior: "smooth" });
  };
  input.addEventListener("input", search);
  input.addEventListener("keydown", (event) => {
    if (event.key === "Enter") {
      event.preventDefault();
      go(event.shiftKey ? -1 : 1);
    } else if (event.key === "Escape") {
      input.value = "";
      clear();
      input.blur();
    }
  });
  byId("find-on").addEventListener("click", () => go(1));
  byId("find-back").addEventListener("click", () => go(-1));

  const speed = byId("speed");
  const faster = (step) => {
    const next = speed.options[speed.selectedIndex + step];
    if (next) {
      speed.value = next.value;
      speed.dispatchEvent(new Event("change"));
    }
  };
  const keys = { "/": () => input.focus(), "[": () => faster(-1), "]": () => faster(1) };
  if (!document.querySelector("[data-correct]")) {
    // Whoever may correct has these from the editor's script.
    Object.assign(keys, { " ": () => call.toggle(), b: () => seek(Math.max(0, audio.currentTime * 1000 - 2000)) });
  }
  document.addEventListener("keydown", (event) => {
    const elsewhere = event.target.closest("input, select, textarea, button, a, summary");
    if (!elsewhere && !event.ctrlKey && !event.metaKey && !event.altKey && keys[event.key]) {
      event.preventDefault();
      keys[event.key]();
    }
  });
})();

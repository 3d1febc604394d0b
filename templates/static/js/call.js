// The call page: waveform from the server's peaks, words in step with the sound, jumps to a moment.
(() => {
  const source = document.getElementById("player-data");
  const audio = document.getElementById("audio");
  if (!source || !audio) {
    return;
  }
  const data = JSON.parse(source.textContent);
  const byId = (id) => document.getElementById(id);
  const playButton = byId("play");
  const follow = byId("follow");
  let playhead = byId("playhead");
  const lanes = byId("lanes");
  const clock = byId("now");
  const problem = byId("audio-problem");
  const transcript = byId("transcript");
  let turns = [];
  let turnStarts = [];
  let words = [];
  let wordStarts = [];
  // The text may be exchanged while the page is open (after a correction), so what stands in it is read again then.
  const collect = () => {
    playhead = byId("playhead");
    turns = [...transcript.querySelectorAll(".turn")];
    turnStarts = turns.map((turn) => Number(turn.dataset.start));
    words = [...transcript.querySelectorAll(".turn .w")]
      .map((element) => ({ element, start: Number(element.dataset.s), end: Number(element.dataset.e) }))
      .sort((a, b) => a.start - b.start);
    wordStarts = words.map((word) => word.start);
  };
  collect();

  const lastAtOrBefore = (starts, ms) => {
    let low = 0;
    let high = starts.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (starts[middle] <= ms) {
        low = middle + 1;
      } else {
        high = middle;
      }
    }
    return low - 1;
  };
  const write = (ms) => {
    const seconds = Math.floor(ms / 1000);
    const [h, m, s] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60];
    const two = (value) => String(value).padStart(2, "0");
    return h ? `${h}:${two(m)}:${two(s)}` : `${m}:${two(s)}`;
  };

  audio.controls = false;
  audio.classList.add("d-none");
  byId("controls").classList.remove("d-none");

  // A seek before the browser knows the file's length would be forgotten, so it waits for that.
  let wanted = null;
  const seek = (ms, { play = false } = {}) => {
    const go = () => {
      audio.currentTime = ms / 1000;
      if (play) {
        audio.play().catch(() => {});
      }
      show(ms);
    };
    if (audio.readyState >= 1) {
      go();
    } else {
      const first = wanted === null;
      wanted = go;
      if (first) {
        audio.addEventListener("loadedmetadata", () => wanted(), { once: true });
      }
      audio.preload = "auto";
      audio.load();
      show(ms);
    }
  };

  let activeTurn = null;
  let activeWord = null;
  const bringIntoView = (turn) => {
    const top = byId("player").getBoundingClientRect().bottom + 8;
    const box = turn.getBoundingClientRect();
    if (box.top < top || box.bottom > window.innerHeight - 24) {
      window.scrollBy({ top: box.top - top - 40, behavior: "smooth" });
    }
  };
  const show = (ms) => {
    clock.textContent = write(ms);
    playhead.style.left = `${Math.min(100, (100 * ms) / Math.max(1, data.duration_ms))}%`;
    const turnIndex = lastAtOrBefore(turnStarts, ms);
    const turn = turnIndex >= 0 ? turns[turnIndex] : null;
    if (turn !== activeTurn) {
      activeTurn?.classList.remove("is-active");
      activeTurn?.removeAttribute("aria-current");
      activeTurn = turn;
      activeTurn?.classList.add("is-active");
      activeTurn?.setAttribute("aria-current", "true");
      if (turn && follow.checked && !audio.paused) {
        bringIntoView(turn);
      }
    }
    const wordIndex = lastAtOrBefore(wordStarts, ms);
    const word = wordIndex >= 0 && ms <= words[wordIndex].end + 250 ? words[wordIndex].element : null;
    if (word !== activeWord) {
      activeWord?.classList.remove("now");
      activeWord = word;
      activeWord?.classList.add("now");
    }
  };
  const tick = () => {
    show(audio.currentTime * 1000);
    if (!audio.paused) {
      window.requestAnimationFrame(tick);
    }
  };
  audio.addEventListener("seeked", tick);
  audio.addEventListener("play", () => {
    playButton.setAttribute("aria-label", gettext("Pause"));
    playButton.firstElementChild.className = "ti ti-player-pause";
    tick();
  });
  audio.addEventListener("pause", () => {
    playButton.setAttribute("aria-label", gettext("Play"));
    playButton.firstElementChild.className = "ti ti-player-play";
  });
  playButton.disabled = Boolean(byId("withheld"));
  audio.addEventListener("error", async () => {
    if (byId("withheld")) {
      return; // the page says why
    }
    let text = gettext("The recording cannot be played in this browser.");
    try {
      const answer = await fetch(data.audio, { headers: { Range: "bytes=0-0" } });
      if (answer.status === 410 || answer.status === 423) {
        text = await answer.text();
      }
    } catch {
      text = gettext("The recording cannot be reached; check the connection and load the page again.");
    }
    problem.textContent = text;
    problem.classList.remove("d-none");
  });
  if (audio.error) {
    audio.dispatchEvent(new Event("error"));
  }

  const toggle = () => (audio.paused ? audio.play().catch(() => {}) : audio.pause());
  playButton.addEventListener("click", toggle);
  byId("speed").addEventListener("change", (event) => {
    audio.playbackRate = Number(event.target.value);
  });
  document.querySelectorAll("[data-skip]").forEach((button) => {
    button.addEventListener("click", () => {
      seek(Math.max(0, Math.min(data.duration_ms, audio.currentTime * 1000 + 1000 * Number(button.dataset.skip))));
    });
  });
  transcript.addEventListener("click", (event) => {
    const word = event.target.closest(".w");
    const moment = event.target.closest("[data-play]");
    if (word && word.dataset.s && !String(window.getSelection())) {
      seek(Number(word.dataset.s), { play: true });
    } else if (moment) {
      seek(Number(moment.dataset.play), { play: true });
    }
  });

  const point = (turn) => {
    document.querySelectorAll(".turn.is-target").forEach((old) => old.classList.remove("is-target"));
    if (turn) {
      turn.classList.add("is-target");
      bringIntoView(turn);
    }
  };
  document.addEventListener("click", (event) => {
    const jump = event.target.closest("[data-jump]");
    const goto = event.target.closest("[data-goto]");
    if (jump) {
      const ms = Number(jump.dataset.jump);
      // A moment before, so that the ear knows what it is about.
      seek(Math.max(0, ms - 400), { play: true });
      point(jump.dataset.turn === "" ? turns[lastAtOrBefore(turnStarts, ms)] : byId(`turn-${jump.dataset.turn}`));
    } else if (goto) {
      event.preventDefault();
      const turn = byId(`turn-${goto.dataset.goto}`);
      if (turn) {
        point(turn);
        seek(Number(turn.dataset.start));
      }
    }
  });
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, select, textarea, button, a, summary")) {
      return;
    }
    if (event.key === " ") {
      event.preventDefault();
      toggle();
    } else if (event.key === "ArrowLeft" || event.key === "ArrowRight") {
      event.preventDefault();
      seek(Math.max(0, audio.currentTime * 1000 + (event.key === "ArrowLeft" ? -5000 : 5000)));
    }
  });
  lanes.addEventListener("click", (event) => {
    if (!event.target.closest("button")) {
      const box = lanes.getBoundingClientRect();
      seek((data.duration_ms * (event.clientX - box.left)) / box.width);
    }
  });

  // The waveform: measured by the server once, so an hour of sound needs no download to be drawn.
  const colourOf = (party) =>
    getComputedStyle(document.documentElement).getPropertyValue(`--cc-${party}`).trim();
  let wave = null;
  const options = (measured) => {
    const split = measured.length > 1;
    const height = split ? 40 : 56;
    const channels = measured.map((_, index) => ({
      height,
      waveColor: colourOf(data.channels[index] || "unknown"),
      progressColor: colourOf(data.channels[index] || "unknown"),
    }));
    return { height, waveColor: channels[0].waveColor, progressColor: channels[0].progressColor, ...(split ? { splitChannels: channels } : {}) };
  };
  const drawWave = async () => {
    let found;
    try {
      found = await (await fetch(data.peaks)).json();
    } catch {
      return;
    }
    const peaks = data.layout === "dual_mono" ? found.peaks.slice(0, 1) : found.peaks;
    if (!peaks.length || !window.WaveSurfer) {
      byId("wave").classList.add("d-none");
      return;
    }
    const measured = peaks.map((channel) => channel.map((value) => value / 100));
    wave = window.WaveSurfer.create({
      container: "#wave",
      media: audio,
      url: data.audio,
      peaks: measured,
      duration: data.duration_ms / 1000,
      cursorColor: colourOf("negative"),
      cursorWidth: 2,
      barWidth: 2,
      barGap: 1,
      barRadius: 1,
      hideScrollbar: true,
      dragToSeek: true,
      normalize: true,
      ...options(measured),
    });
    wave.on("seeking", (seconds) => show(seconds * 1000));
    document.addEventListener("theme-changed", () => wave.setOptions(options(measured)));
  };
  drawWave();

  if (window.ccCharts && data.sentiment.length) {
    const { draw, axis } = window.ccCharts;
    const series = (party, name, colour) => ({
      name,
      type: "line",
      smooth: 0.3,
      symbolSize: 5,
      data: data.sentiment.filter((item) => item.party === party).map((item) => [item.at, item.score]),
      lineStyle: { width: 2, color: colour },
      itemStyle: { color: colour },
    });
    draw(
      byId("sentiment-chart"),
      (p) => ({
        xAxis: {
          type: "value",
          min: 0,
          max: data.duration_ms,
          ...axis(p),
          splitLine: { show: false },
          axisLabel: { color: p.text, formatter: write, hideOverlap: true },
        },
        yAxis: { type: "value", min: -1, max: 1, interval: 1, ...axis(p) },
        tooltip: {
          trigger: "item",
          backgroundColor: p.surface,
          borderColor: p.line,
          confine: true,
          formatter: ({ seriesName, value }) => interpolate(gettext("%(name)s at %(time)s: %(value)s"), { name: seriesName, time: write(value[0]), value: value[1].toFixed(2) }, true),
        },
        series: [
          series("customer", gettext("Customer"), p.customer),
          series("agent", gettext("Agent"), p.agent),
          series("unknown", gettext("Speaker"), p.neutral),
          {
            name: gettext("Words and voice disagree"),
            type: "scatter",
            symbol: "triangle",
            symbolSize: 11,
            data: data.disagreements.map((item) => [item.at, item.score]),
            itemStyle: { color: p.negative },
          },
        ].filter((line) => line.data.length),
      }),
      (event) => seek(event.value[0]),
    );
  }

  // What correcting needs of the player.
  window.ccCall = {
    audio,
    seek,
    toggle,
    point,
    current: () => document.querySelector(".turn.is-target") || activeTurn || turns[0] || null,
    renew: () => {
      activeTurn = null;
      activeWord = null;
      collect();
      show(audio.currentTime * 1000);
    },
  };

  // An address can name a moment: /calls/…/?t=12340#turn-5
  const moment = Number(new URLSearchParams(window.location.search).get("t"));
  const target = document.querySelector(window.location.hash.match(/^#turn-\d+$/) ? window.location.hash : "#none");
  if (moment > 0) {
    seek(moment);
  } else if (target) {
    seek(Number(target.dataset.start));
  }
  if (target || moment > 0) {
    point(target || turns[lastAtOrBefore(turnStarts, moment)]);
  }
})();

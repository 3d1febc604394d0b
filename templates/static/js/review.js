// The review pages: short stretches of sound, and boxes that choose all others.
(() => {
  let audio = null;
  let stopAt = 0;
  let button = null;
  const icon = (name) => button && (button.firstElementChild.className = `ti ti-${name} me-1`);
  const stop = () => {
    audio?.pause();
    icon("player-play");
    button = null;
  };
  document.addEventListener("click", (event) => {
    const pressed = event.target.closest("[data-clip]");
    if (!pressed) {
      return;
    }
    const again = pressed === button;
    stop();
    if (again) {
      return;
    }
    if (!audio) {
      audio = new Audio();
      audio.addEventListener("timeupdate", () => audio.currentTime * 1000 >= stopAt && stop());
      audio.addEventListener("ended", stop);
      audio.addEventListener("error", () => {
        if (button) {
          button.title = gettext("The recording cannot be played.");
          stop();
        }
      });
    }
    button = pressed;
    icon("player-stop");
    // A moment around it, so that the ear knows what it is about.
    const from = Math.max(0, Number(pressed.dataset.from) - 800) / 1000;
    stopAt = Number(pressed.dataset.to) + 800;
    if (audio.dataset.clip !== pressed.dataset.clip) {
      audio.dataset.clip = pressed.dataset.clip;
      audio.src = pressed.dataset.clip;
    }
    const go = () => {
      audio.currentTime = from;
      audio.play().catch(stop);
    };
    if (audio.readyState >= 1) {
      go();
    } else {
      audio.addEventListener("loadedmetadata", go, { once: true });
      audio.load();
    }
  });
  document.querySelectorAll("[data-check-all]").forEach((all) => {
    const boxes = () => [...all.form.querySelectorAll(`input[name="${all.dataset.checkAll}"]`)];
    all.addEventListener("change", () => boxes().forEach((box) => (box.checked = all.checked)));
    all.form.addEventListener("change", (event) => {
      if (event.target !== all) {
        all.checked = boxes().every((box) => box.checked);
      }
    });
  });
})();

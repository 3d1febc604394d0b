// Charts in the colours of the page, redrawn when the size or the theme changes.
window.ccCharts = (() => {
  const drawn = [];
  // The theme writes colours as color-mix() and the like; the chart library reads only plain ones.
  const canvas = document.createElement("canvas").getContext("2d");
  const probe = document.createElement("span");
  probe.hidden = true;
  document.body.append(probe);
  const colour = (name) => {
    probe.style.color = `var(${name})`;
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = getComputedStyle(probe).color;
    canvas.fillRect(0, 0, 1, 1);
    const [red, green, blue, alpha] = canvas.getImageData(0, 0, 1, 1).data;
    return `rgba(${red}, ${green}, ${blue}, ${(alpha / 255).toFixed(3)})`;
  };
  const palette = () => ({
    text: colour("--tblr-secondary"),
    line: colour("--tblr-border-color"),
    surface: colour("--tblr-bg-surface"),
    primary: colour("--tblr-primary"),
    agent: colour("--cc-agent"),
    customer: colour("--cc-customer"),
    negative: colour("--cc-negative"),
    positive: colour("--cc-positive"),
    neutral: colour("--cc-neutral"),
  });
  const base = (p) => ({
    animationDuration: window.matchMedia("(prefers-reduced-motion: reduce)").matches ? 0 : 300,
    textStyle: { fontFamily: getComputedStyle(document.body).fontFamily, color: p.text },
    grid: { left: 8, right: 12, top: 28, bottom: 4, containLabel: true },
    tooltip: {
      backgroundColor: p.surface,
      borderColor: p.line,
      textStyle: { color: colour("--tblr-body-color") },
      confine: true,
    },
    legend: { top: 0, right: 0, textStyle: { color: p.text }, itemWidth: 14, itemHeight: 8 },
  });
  const draw = (element, option, onClick) => {
    if (!element || !window.echarts) {
      return null;
    }
    const chart = window.echarts.init(element, null, { renderer: "svg" });
    const paint = () => {
      const p = palette();
      chart.setOption({ ...base(p), ...option(p) }, true);
    };
    paint();
    if (onClick) {
      chart.on("click", onClick);
    }
    new ResizeObserver(() => chart.resize()).observe(element);
    drawn.push(paint);
    return chart;
  };
  document.addEventListener("theme-changed", () => drawn.forEach((paint) => paint()));
  const axis = (p) => ({
    axisLine: { lineStyle: { color: p.line } },
    axisTick: { show: false },
    axisLabel: { color: p.text, hideOverlap: true },
    splitLine: { lineStyle: { color: p.line, opacity: 0.6 } },
  });
  return { draw, axis };
})();

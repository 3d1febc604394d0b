// The curve of a training run: loss and word error rate by step, redrawn when the live part of the page is renewed.
(() => {
  const place = document.querySelector('[data-chart="curve"]');
  if (!place || !window.ccCharts) {
    return;
  }
  const { draw, axis } = window.ccCharts;
  const empty = document.getElementById("no-curve");
  const points = () => JSON.parse(document.getElementById("curve-data")?.textContent || "[]");
  const series = (key, scale = 1) => points().filter((p) => typeof p[key] === "number").map((p) => [p.step, p[key] * scale]);
  const option = (p) => ({
    legend: { top: 0, left: "center", textStyle: { color: p.text }, itemWidth: 14, itemHeight: 8 },
    grid: { left: 8, right: 8, top: 32, bottom: 24, containLabel: true },
    tooltip: { trigger: "axis", backgroundColor: p.surface, borderColor: p.line, confine: true, valueFormatter: (v) => Number(v).toFixed(2) },
    xAxis: { type: "value", name: gettext("step"), nameLocation: "middle", nameGap: 24, minInterval: 1, ...axis(p), splitLine: { show: false } },
    yAxis: [
      { type: "value", name: gettext("loss"), scale: true, ...axis(p) },
      { type: "value", name: gettext("WER %"), scale: true, ...axis(p), splitLine: { show: false } },
    ],
    series: [
      { name: gettext("Loss"), type: "line", showSymbol: false, data: series("loss"), lineStyle: { color: p.primary }, itemStyle: { color: p.primary } },
      { name: gettext("Validation WER"), type: "line", yAxisIndex: 1, symbolSize: 7, data: series("wer", 100), lineStyle: { color: p.customer }, itemStyle: { color: p.customer } },
    ],
  });
  let chart = null;
  const show = () => {
    const any = points().length > 0;
    place.hidden = !any;
    empty.hidden = any;
    if (!any) {
      return;
    }
    if (chart) {
      chart.setOption({ series: [{ data: series("loss") }, { data: series("wer", 100) }] });
    } else {
      chart = draw(place, option);
    }
  };
  show();
  document.addEventListener("htmx:load", show);
})();

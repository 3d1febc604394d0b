// Charts of dashboards, agents and queues; a click on any of them opens the calls behind it.
(() => {
  const main = document.getElementById("content");
  document.addEventListener("submit", (event) => {
    if (event.target.matches("form[data-auto-submit]") && main) {
      main.classList.add("is-loading");
      main.setAttribute("aria-busy", "true");
    }
  });
  // Coming back by the browser's button shows the page as it was left, also while it was loading.
  window.addEventListener("pageshow", () => {
    main?.classList.remove("is-loading");
    main?.removeAttribute("aria-busy");
  });

  const source = document.getElementById("chart-data");
  if (!source) {
    return;
  }
  const find = (name) => document.querySelector(`[data-chart="${name}"]`);
  if (!window.ccCharts || !window.echarts) {
    document.querySelectorAll("[data-chart]").forEach((place) => {
      place.classList.add("chart-failed");
      place.textContent = gettext("The chart could not be drawn. The table below holds its figures.");
    });
    return;
  }
  const data = JSON.parse(source.textContent);
  const { draw, axis } = window.ccCharts;
  const labels = data.calls.map((point) => point.label);
  const open = (url) => url && window.location.assign(url);
  const compared = data.calls.some((point) => point.before !== null);

  draw(
    find("calls"),
    (p) => ({
      grid: { left: 8, right: 12, top: compared ? 28 : 12, bottom: 4, containLabel: true },
      legend: { show: compared, top: 0, right: 0, textStyle: { color: p.text }, itemWidth: 14, itemHeight: 8 },
      xAxis: { type: "category", data: labels, ...axis(p), splitLine: { show: false } },
      yAxis: { type: "value", minInterval: 1, ...axis(p) },
      tooltip: { trigger: "axis", backgroundColor: p.surface, borderColor: p.line, confine: true },
      series: [
        {
          name: gettext("Calls"),
          type: "bar",
          data: data.calls.map((point) => point.calls),
          itemStyle: { color: p.primary, borderRadius: [2, 2, 0, 0] },
          barMaxWidth: 26,
          cursor: "pointer",
        },
        ...(compared
          ? [
              {
                name: gettext("Period before"),
                type: "line",
                data: data.calls.map((point) => point.before),
                symbol: "none",
                lineStyle: { width: 1.5, type: "dashed", color: p.neutral },
                itemStyle: { color: p.neutral },
              },
            ]
          : []),
      ],
    }),
    (event) => open(data.calls[event.dataIndex]?.url),
  );

  const round = (value) => (value === null ? null : Math.round(value * 100) / 100);
  const line = (name, key, colour) => ({
    name,
    type: "line",
    data: data.calls.map((point) => round(point[key])),
    connectNulls: true,
    symbolSize: 6,
    showAllSymbol: data.calls.length < 40,
    lineStyle: { width: 2, color: colour },
    itemStyle: { color: colour },
  });
  draw(
    find("sentiment"),
    (p) => ({
      xAxis: { type: "category", data: labels, ...axis(p), splitLine: { show: false } },
      yAxis: { type: "value", min: -1, max: 1, interval: 0.5, ...axis(p) },
      tooltip: { trigger: "axis", backgroundColor: p.surface, borderColor: p.line, confine: true },
      series: [line(gettext("Customer"), "customer", p.customer), line(gettext("Agent"), "agent", p.agent)],
    }),
    (event) => open(data.calls[event.dataIndex]?.url),
  );

  const most = Math.max(1, ...data.heat.map((cell) => cell.calls));
  draw(
    find("heat"),
    (p) => ({
      legend: { show: false },
      grid: { left: 8, right: 12, top: 4, bottom: 4, containLabel: true },
      xAxis: { type: "category", data: [...Array(24).keys()].map(String), ...axis(p) },
      yAxis: { type: "category", data: data.weekdays, inverse: true, ...axis(p) },
      tooltip: {
        backgroundColor: p.surface,
        borderColor: p.line,
        formatter: ({ value }) => interpolate(ngettext("%(day)s %(hour)s:00 · %(count)s call", "%(day)s %(hour)s:00 · %(count)s calls", value[2]), { day: data.weekdays[value[1]], hour: value[0], count: value[2] }, true),
      },
      visualMap: { show: false, min: 0, max: most, inRange: { color: [p.line, p.primary] } },
      series: [
        {
          type: "heatmap",
          data: data.heat.map((cell) => [cell.hour, cell.weekday - 1, cell.calls]),
          itemStyle: { borderColor: p.surface, borderWidth: 2, borderRadius: 3 },
          cursor: "pointer",
        },
      ],
    }),
    (event) => open(data.heat[event.dataIndex]?.url),
  );
})();

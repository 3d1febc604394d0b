// The voice beside the words: how aroused each turn sounds, in units above the speaker's own usual in this call.
(() => {
  const source = document.getElementById("player-data");
  const place = document.getElementById("voice-chart");
  if (!source || !place || !window.ccCharts) {
    return;
  }
  const data = JSON.parse(source.textContent);
  const { draw, axis } = window.ccCharts;
  const write = (ms) => {
    const seconds = Math.floor(ms / 1000);
    return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
  };
  const bars = (party, name, colour) => ({
    name,
    type: "bar",
    barWidth: 5,
    data: data.voice.filter((item) => item.party === party).map((item) => [item.at, item.arousal]),
    itemStyle: { color: colour },
  });
  draw(
    place,
    (p) => ({
      grid: { left: 8, right: 12, top: 8, bottom: 4, containLabel: true },
      legend: { show: false },
      xAxis: {
        type: "value",
        min: 0,
        max: data.duration_ms,
        ...axis(p),
        splitLine: { show: false },
        axisLabel: { color: p.text, formatter: write, hideOverlap: true },
      },
      yAxis: {
        type: "value",
        min: -4,
        max: 4,
        interval: 4,
        ...axis(p),
        axisLabel: { color: p.text, formatter: (value) => (value > 0 ? gettext("raised") : value < 0 ? gettext("lowered") : gettext("usual")) },
      },
      tooltip: {
        trigger: "item",
        backgroundColor: p.surface,
        borderColor: p.line,
        confine: true,
        formatter: ({ seriesName, value }) => interpolate(gettext("%(name)s at %(time)s: %(value)s"), { name: seriesName, time: write(value[0]), value: value[1].toFixed(1) }, true),
      },
      series: [
        bars("customer", gettext("Customer's voice"), p.customer),
        bars("agent", gettext("Agent's voice"), p.agent),
        bars("unknown", gettext("Speaker's voice"), p.neutral),
        {
          name: gettext("Words and voice disagree"),
          type: "scatter",
          symbol: "triangle",
          symbolSize: 9,
          data: data.disagreements.map((item) => [item.at, item.arousal]),
          itemStyle: { color: p.negative },
        },
      ].filter((line) => line.data.length),
    }),
    (event) => window.ccCall?.seek(event.value[0]),
  );
})();

// SPDX-License-Identifier: MIT
// The three plots of one layer, on Chart.js.

const narrow = () => matchMedia('(max-width: 50rem)').matches;
const faded = colour => colour + '40';  // colours are #rrggbb
const charts = {};

const labelFont = () => '12px ' + Chart.defaults.font.family;
function widthOf(text) {
  const ctx = document.createElement('canvas').getContext('2d');
  ctx.font = labelFont();
  return ctx.measureText(text).width;
}

// Text that stays readable on top of lines.
function write(ctx, text, x, y, colour) {
  ctx.lineJoin = 'round';
  ctx.lineWidth = 3;
  ctx.strokeStyle = style('--ground');
  ctx.strokeText(text, x, y);
  ctx.fillStyle = colour;
  ctx.fillText(text, x, y);
}

// Writes labels where they cover neither one another nor a marker; those that fit nowhere are left out. A label is
// {x, y, text, colour} in canvas pixels; `anchors` are tried in order.
function placeLabels(chart, labels, markers = []) {
  const {ctx, chartArea: area} = chart;
  const taken = markers.map(({x, y}) => [x - 4, y - 4, x + 4, y + 4]);
  ctx.save();
  ctx.font = labelFont();
  ctx.textBaseline = 'middle';
  for (const label of labels) {
    const w = ctx.measureText(label.text).width, h = 13;
    const tries = {
      right: [9, 0],
      left: [-w - 9, 0],
      above: [-w / 2, -14],
      below: [-w / 2, 14],
      aboveRight: [6, -13],
      aboveLeft: [-w - 6, -13],
      belowRight: [6, 13],
      belowLeft: [-w - 6, 13]
    };
    for (const where of label.anchors ?? Object.keys(tries)) {
      const left = label.x + tries[where][0], middle = label.y + tries[where][1];
      const box = [left, middle - h / 2, left + w, middle + h / 2];
      if (box[0] < area.left || box[2] > area.right || box[1] < area.top - 4 || box[3] > area.bottom) continue;
      if (taken.some(t => box[0] < t[2] && box[2] > t[0] && box[1] < t[3] && box[3] > t[1])) continue;
      taken.push(box);
      write(ctx, label.text, left, middle, label.colour);
      break;
    }
  }
  ctx.restore();
}

// Names at the ends of lines, right of the plot, moved apart where lines end close together.
function nameEnds(chart, ends) {
  const {ctx, chartArea: area} = chart;
  const gap = 15;
  ends.sort((a, b) => a.y - b.y);
  let next = -Infinity;
  for (const end of ends) next = (end.at = Math.max(end.y, next)) + gap;
  let limit = area.bottom;
  for (const end of [...ends].reverse()) limit = (end.at = Math.min(end.at, limit)) - gap;
  ctx.save();
  ctx.font = labelFont();
  ctx.textBaseline = 'middle';
  for (const end of ends) {
    ctx.strokeStyle = end.colour;
    ctx.beginPath();
    ctx.moveTo(end.x + 7, end.y);
    ctx.lineTo(area.right + 16, end.at);
    ctx.lineWidth = 0.75;
    ctx.stroke();
    write(ctx, end.text, area.right + 20, end.at, end.colour);
  }
  ctx.restore();
}

// Figures under points of one horizontal line, each in the first row where there is room.
function nameRings(chart, rings) {
  const {ctx} = chart;
  const rows = [];  // where the last text of each row ends
  ctx.save();
  ctx.font = labelFont();
  ctx.textBaseline = 'middle';
  ctx.textAlign = 'center';
  for (const ring of rings.sort((a, b) => a.x - b.x)) {
    const half = ctx.measureText(ring.text).width / 2;
    let row = rows.findIndex(end => end + 6 < ring.x - half);
    if (row < 0) row = rows.length;
    rows[row] = ring.x + half;
    const y = ring.y + 22 + 15 * row;
    ctx.strokeStyle = ring.colour;
    ctx.beginPath();
    ctx.moveTo(ring.x, ring.y + 7);
    ctx.lineTo(ring.x, y - 7);
    ctx.lineWidth = 0.75;
    ctx.stroke();
    write(ctx, ring.text, ring.x, y, ring.colour);
  }
  ctx.restore();
}

// A chart of our kind: no animation, own labels, a tooltip that tells all of a measurement.
function draw(name, datasets, scales, {before, after, padding = 0}) {
  charts[name]?.destroy();
  charts[name] = new Chart(id(name), {
    type: 'scatter',
    data: {datasets},
    options: {
      animation: false,
      maintainAspectRatio: false,
      scales,
      layout: {padding: {right: padding, top: 8}},
      interaction: {mode: 'nearest', intersect: true},
      plugins: {
        legend: {display: false},
        tooltip: {
          filter: item => item.raw.m != null,
          displayColors: false,
          padding: 10,
          callbacks: {
            title: ([item]) =>
                item ? `${item.raw.m.format} ${item.raw.m.numeric}, ${percent(item.raw.m.sparsity)} zeros` : '',
            label: ({raw: {m}}) => [`${times(m.vs_dense)} dense hot, ${times(m.vs_dense_rotating)} cold`,
                                    `${m.gmacs.toFixed(0)} GMAC/s, ${percent(m.of_peak)} of peak`,
                                    `${seconds(m.hot_seconds)} a call, packed in ${seconds(m.pack_seconds)}`,
                                    `${m.bytes_per_weight.toFixed(3)} bytes a weight, ${decibels(m.sqnr_db)}`, m.note]
                                       .filter(Boolean),
          },
        },
      },
    },
    plugins: [{beforeDatasetsDraw: chart => before?.(chart), afterDatasetsDraw: chart => after?.(chart)}],
  });
}

function axis(title, more = {}) {
  return {
    title: {display: true, text: title},
    grid: {color: style('--rule'), drawBorder: false},
    ...more,
    ticks: {maxRotation: 0, ...more.ticks}
  };
}
const logAxis = (title, values, more = {}) => axis(title, {
  type: 'logarithmic',
  afterBuildTicks: scale => {
    scale.ticks = values.filter(v => v >= scale.min * 0.999 && v <= scale.max * 1.001).map(value => ({value}));
  },
  ...more
});
const decades = (from, to, steps = [1]) => {
  const values = [];
  for (let e = from; e <= to; ++e)
    for (const s of steps) values.push(s * 10 ** e);
  return values;
};

function dataset(format, points, more = {}) {
  const colour = colourOf(format);
  return {
    data: points,
    borderColor: colour,
    backgroundColor: colour,
    pointStyle: shapeOf(format)[0],
    pointRotation: shapeOf(format)[1],
    radius: 4.5,
    hoverRadius: 6.5,
    pointBorderWidth: 1.75,
    borderWidth: 1.75,
    showLine: true,
    clip: 8,
    ...more
  };
}
const byFormat = (entries, point) =>
    formats
        .map(
            format =>
                [format, entries.filter(m => m.format === format).sort((a, b) => a.sparsity - b.sparsity).map(point)])
        .filter(([, points]) => points.length > 0);

// x: -log2(density), so that "k times fewer multiply-adds, k times faster" is a straight line.
const octaves = sparsity => -Math.log2(Math.max(1 - sparsity, 1e-4));

function drawSpeed() {
  const entries = shown().filter(m => m.numeric === state.numeric && !isDense(m) && ratioOf(m) != null);
  const lines = byFormat(entries, m => ({x: octaves(m.sparsity), y: ratioOf(m), m}));
  const dense = report.measurements.find(m => m.layer === state.layer && m.numeric === state.numeric && isDense(m));
  const evens = state.mode === 'cold' ? [] :
                                        report.break_evens.filter(
                                            b => b.layer === state.layer && b.numeric === state.numeric &&
                                                b.sparsity != null && !b.at_most && !state.hidden.has(b.format));
  const end = Math.max(1, ...entries.map(m => octaves(m.sparsity)));
  const ratios = [1, ...entries.map(ratioOf)];
  const muted = style('--muted'), ink = style('--ink');

  const datasets = [
    {
      data: [{x: 0, y: 1}, {x: end, y: 2 ** end}],
      showLine: true,
      radius: 0,
      hitRadius: 0,
      borderColor: muted,
      borderWidth: 1,
      borderDash: [2, 4]
    },
    {
      data: [{x: 0, y: 1, m: dense}, {x: end, y: 1, m: dense}],
      showLine: true,
      radius: 0,
      hitRadius: 6,
      borderColor: ink,
      borderWidth: 2
    },
    ...lines.map(([format, points]) => dataset(format, points)),
    {
      data: evens.map(b => ({x: octaves(b.sparsity), y: 1})),
      radius: 7,
      hitRadius: 0,
      pointStyle: 'circle',
      backgroundColor: 'transparent',
      borderWidth: 2,
      borderColor: evens.map(b => colourOf(b.format))
    },
  ];
  const levels = [...new Set([0, 0.5, ...entries.map(m => m.target_sparsity)])].sort((a, b) => a - b);
  const scales = {
    x: axis('zeros', {
      min: 0,
      max: end,
      afterBuildTicks: scale => {
        let last = -1;
        scale.ticks = levels.map(s => ({value: octaves(s), label: percent(s)})).filter(t => {
          const fits = t.value <= end + 1e-6 && (last < 0 || (t.value - last) / end * scale.width > 48);
          if (fits) last = t.value;
          return fits;
        });
      },
      ticks: {callback: (value, i, ticks) => percent(1 - 2 ** -value)}
    }),
    y: logAxis(
        `speed over dense ${state.numeric}`, [1 / 64, 1 / 32, 1 / 16, 1 / 8, 1 / 4, 1 / 2, 1, 2, 4, 8, 16, 32, 64], {
          min: Math.min(...ratios) * 0.85,
          max: Math.max(2, ...ratios) * 1.25,
          ticks: {callback: v => `${v < 1 ? `1/${Math.round(1 / v)}` : v}×`}
        }),
  };
  const before = ({ctx, chartArea: area, scales: {y}}) => {
    const from = y.getPixelForValue(1);
    ctx.fillStyle = `rgba(${style('--behind')}, .045)`;
    ctx.fillRect(area.left, from, area.right - area.left, area.bottom - from);
  };
  const after = chart => {
    const at = (x, y) => ({x: chart.scales.x.getPixelForValue(x), y: chart.scales.y.getPixelForValue(y)});
    const last = ([format, points]) =>
        ({...at(points.at(-1).x, points.at(-1).y), text: format, colour: colourOf(format)});
    if (!narrow()) nameEnds(chart, lines.filter(([, points]) => points.at(-1).x > end - 0.1).map(last));
    nameRings(
        chart,
        evens.map(b => ({...at(octaves(b.sparsity), 1), text: percent(b.sparsity), colour: colourOf(b.format)})));
    const labels = narrow() ?
        [] :
        lines.filter(([, points]) => points.at(-1).x <= end - 0.1)
            .map(line => ({...last(line), anchors: ['right', 'belowRight', 'below', 'left', 'above']}));
    labels.push({...at(end, chart.scales.y.min), text: 'slower than dense', colour: muted, anchors: ['aboveLeft']});
    const top = Math.min(end, Math.log2(chart.scales.y.max)) * 0.72;
    labels.push({...at(top, 2 ** top), text: 'ideal: 1 / density', colour: muted, anchors: ['aboveLeft', 'left']});
    placeLabels(chart, labels, entries.map(m => at(octaves(m.sparsity), ratioOf(m))));
  };
  draw('speed', datasets, scales, {before, after, padding: narrow() ? 12 : 24 + Math.max(0, ...lines.map(([format]) => widthOf(format)))});
  id('speed').ariaLabel = `Speed over dense ${state.numeric} against sparsity, layer ${
      report.layers[state.layer].name}; the table below has the figures`;
  id('speed-caption').textContent =
      `${report.layers[state.layer].name}, ${state.numeric}, ${state.mode} weights. Dense is the horizontal line` +
      (dense ? ` (${secondsOf(dense) == null ? '' : `${seconds(secondsOf(dense))} a call, `}${
                   digits(dense.gmacs, 3)} GMAC/s hot)` :
               '') +
      (state.mode === 'hot' ? '; rings mark where a format crosses it.' : '.') +
      ' Both axes are logarithmic in what is kept.';
}

function drawError() {
  const entries = shown();
  const finite = entries.filter(m => m.sqnr_db != null);
  const top = Math.max(10, ...finite.map(m => m.sqnr_db)) * 1.12;
  const y = m => m.sqnr_db ?? top;
  const point = m => ({x: m.bytes_per_weight, y: y(m), m});
  const datasets = [];
  for (const numeric of [...numerics].sort((a, b) => (a === state.numeric) - (b === state.numeric))) {
    const own = entries.filter(m => m.numeric === numeric);
    const front = numeric === state.numeric;
    const dress = format =>
        front ? {} : {borderColor: faded(colourOf(format)), backgroundColor: faded(colourOf(format)), radius: 3.5};
    for (const [format, points] of byFormat(own, point))
      datasets.unshift(dataset(format, points, {borderWidth: front ? 1 : 0.75, ...dress(format)}));
    datasets.unshift(dataset('dense', own.filter(isDense).map(point), {radius: 6, ...dress('dense')}));
  }
  // Nothing of the same type is both smaller and more exact.
  const own = entries.filter(m => m.numeric === state.numeric);
  const best = own.filter(
      a => !isDense(a) &&
          !own.some(
              b => b.bytes_per_weight <= a.bytes_per_weight && y(b) >= y(a) &&
                  (b.bytes_per_weight < a.bytes_per_weight || y(b) > y(a))));
  const after = chart => {
    const at = m =>
        ({x: chart.scales.x.getPixelForValue(m.bytes_per_weight), y: chart.scales.y.getPixelForValue(y(m))});
    const anchors = ['left', 'aboveLeft', 'belowLeft', 'above', 'right', 'belowRight'];
    const dense = entries.filter(isDense).map(m => ({
                                                ...at(m),
                                                text: `dense ${m.numeric}`,
                                                colour: style(m.numeric === state.numeric ? '--ink' : '--muted'),
                                                anchors
                                              }));
    const front = best.map(
        m => ({...at(m), text: `${m.format} ${percent(m.target_sparsity)}`, colour: colourOf(m.format), anchors}));
    placeLabels(chart, [...dense, ...front], own.map(at));
  };
  draw(
      'error', datasets, {
        x: logAxis('bytes per weight', [.01, .02, .05, .1, .2, .5, 1, 2, 4, 8], {
          min: Math.min(4, ...entries.map(m => m.bytes_per_weight)) * 0.75,
          max: Math.max(0.1, ...entries.map(m => m.bytes_per_weight)) * 1.4,
          ticks: {callback: v => Number(v.toPrecision(3))}
        }),
        y: axis('SQNR in dB', {
          min: Math.min(0, ...finite.map(m => m.sqnr_db)),
          max: top,
          ticks: {
            stepSize: 10,
            callback: v => v % 10 === 0                     ? v :
                v === top && finite.length < entries.length ? 'exact' :
                                                              ''
          }
        }),
      },
      {after});
  id('error').ariaLabel = 'Signal to quantization noise against bytes per weight; the table below has the figures';
}

function drawRoof() {
  const here = report.machine;
  const float = state.numeric.includes('f');
  const peak = float ? here.fma_gmacs : here.dot_gmacs;
  const activation = float ? 4 : 1;
  const entries = shown().filter(m => m.numeric === state.numeric && secondsOf(m) != null);
  const l = report.layers[state.layer];
  const point = m =>
      ({x: executed(m) / (m.bytes + l.m * l.k * activation + l.m * l.n * 4), y: executed(m) / secondsOf(m) / 1e9, m});
  const lines = byFormat(entries, point);
  const all = entries.map(point);
  const xs = all.map(p => p.x).filter(x => x > 0), ys = all.map(p => p.y).filter(y => y > 0);
  const speeds = here.read_bandwidths.length ? here.read_bandwidths.map(b => b.gb_per_second) : [1];
  const x0 = Math.min(...xs, peak / Math.max(...speeds)) / 2, x1 = Math.max(...xs, peak / Math.min(...speeds)) * 2;
  const muted = style('--muted');
  const roof = gbs => ({
    data: [{x: x0, y: gbs * x0}, {x: peak / gbs, y: peak}],
    showLine: true,
    radius: 0,
    hitRadius: 0,
    borderColor: muted,
    borderWidth: 1
  });
  const datasets = [
    {
      data: [{x: x0, y: peak}, {x: x1, y: peak}],
      showLine: true,
      radius: 0,
      hitRadius: 0,
      borderColor: style('--ink'),
      borderWidth: 2
    },
    ...here.read_bandwidths.map(b => roof(b.gb_per_second)),
    dataset('dense', entries.filter(isDense).map(point), {radius: 6, showLine: false}),
    ...lines.map(([format, points]) => dataset(format, points, {borderWidth: 0.75})),
  ];
  const y0 = Math.min(...ys, peak / 8) / 1.6;
  const after = chart => {
    const {ctx, chartArea: area, scales: {x, y}} = chart;
    ctx.save();
    ctx.font = '11px ' + Chart.defaults.font.family;
    ctx.fillStyle = muted;
    let before = null;  // a label whose line is close makes room by moving on
    for (const b of here.read_bandwidths) {  // along its line, a little above
      const start = Math.max(x0, y0 / b.gb_per_second) * 1.06;
      const from = [x.getPixelForValue(start), y.getPixelForValue(start * b.gb_per_second)];
      const to = [x.getPixelForValue(peak / b.gb_per_second), y.getPixelForValue(peak)];
      const text = `${b.level} ${digits(b.gb_per_second, 3)} GB/s`;
      const apart = before && Math.abs(y.getPixelForValue(b.gb_per_second) - y.getPixelForValue(before.speed));
      const along = before && apart < 18 ? before.end + 14 : 4;
      ctx.save();
      ctx.translate(...from);
      ctx.rotate(Math.atan2(to[1] - from[1], to[0] - from[0]));
      ctx.fillText(text, along, -4);
      ctx.restore();
      before = {speed: b.gb_per_second, end: along + ctx.measureText(text).width};
    }
    ctx.fillStyle = style('--ink');
    ctx.textAlign = 'right';
    ctx.fillText(
        `${float ? 'fma' : 'int8 dot'} peak ${peak.toFixed(0)} GMAC/s`, area.right - 4, y.getPixelForValue(peak) - 6);
    ctx.restore();
  };
  draw(
      'roof', datasets, {
        x: logAxis(
            'executed MACs per byte moved', decades(-2, 5, [1, 3]), {min: x0, max: x1, ticks: {callback: v => Number(v.toPrecision(3))}}),
        y: logAxis('executed GMAC/s', decades(-2, 5, [1, 2, 5]), {min: y0, max: Math.max(peak, ...ys) * 1.5, ticks: {callback: v => Number(v.toPrecision(3))}}),
      },
      {after});
  id('roof').ariaLabel =
      'Executed multiply-adds per second against multiply-adds per byte, under the roofs of the machine';
  id('roof-caption').textContent = 'How near to what this machine can do at all. Bytes are the stored weights, ' +
      `the activations and the outputs, once each; ${state.mode} weights.`;
}

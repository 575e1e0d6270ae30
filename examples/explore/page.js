// SPDX-License-Identifier: MIT
// Draws the report: headlines, break-evens, three plots of one layer, and tables. Formats keep colour and shape
// everywhere on the page; the dense kernel has the colour of the text.
'use strict';

const report = JSON.parse(document.getElementById('report-data').textContent);
const headlines = JSON.parse(document.getElementById('headlines-data').textContent);

// ---- words and numbers ------------------------------------------------------------------------------------------
const id = name => document.getElementById(name);
const percent = x => `${+(100 * x).toFixed(1)}\u00a0%`;
const digits = (x, n) => x >= 10 ** (n - 1) ? x.toFixed(0) : x.toPrecision(n);
const times = x => x == null ? '–' : `${digits(x, 3)}×`;
const seconds = x => x == null ? '–' : x < 1e-3 ? `${digits(x * 1e6, 3)} µs` : x < 1 ? `${digits(x * 1e3, 3)} ms` : `${digits(x, 3)} s`;
const bytes = x => x < 1024 ? `${x} B` : x < 1 << 20 ? `${digits(x / 1024, 3)} KiB` : `${digits(x / (1 << 20), 3)} MiB`;
const decibels = x => x == null ? 'exact' : `${x.toFixed(1).replace('-0.0', '0.0')} dB`;

function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

// ---- what there is ----------------------------------------------------------------------------------------------
const numerics = [...new Set(report.measurements.map(m => m.numeric))];
const formats = [...new Set(report.measurements.map(m => m.format))].filter(f => f !== 'dense');
// Chart.js's name and turn of a marker, and the same as SVG; the first is for dense.
const shapes = [
  ['circle', 0, '<circle r="4"/>'], ['rect', 0, '<path d="M-4-4H4V4H-4Z"/>'], ['triangle', 0, '<path d="M0-5L5 4H-5Z"/>'],
  ['rectRot', 0, '<path d="M0-5L5 0L0 5L-5 0Z"/>'], ['triangle', 180, '<path d="M0 5L5-4H-5Z"/>'], ['cross', 0, '<path d="M-5 0H5M0-5V5"/>'],
  ['crossRot', 0, '<path d="M-4-4L4 4M-4 4L4-4"/>'], ['star', 0, '<path d="M-5 0H5M0-5V5M-4-4L4 4M-4 4L4-4"/>'],
  ['triangle', 90, '<path d="M5 0L-4 5V-5Z"/>'], ['circle', 0, '<circle r="4"/>'], ['triangle', 270, '<path d="M-5 0L4 5V-5Z"/>'],
];
const shapeOf = format => shapes[format === 'dense' ? 0 : 1 + formats.indexOf(format) % (shapes.length - 1)];
const style = name => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const colourOf = format => style(format === 'dense' ? '--ink' : `--c${formats.indexOf(format) % 10}`);
const isDense = m => m.format === 'dense';
const executed = m => {
  const l = report.layers[m.layer];
  return l.m * l.n * l.k * (isDense(m) ? 1 : 1 - m.sparsity);
};

// The page opens where the hash says (#layer=2&numeric=s8&mode=cold), or with the first layer and its fastest type.
const asked = new URLSearchParams(location.hash.slice(1));
const fastestDense = report.measurements.filter(m => isDense(m) && m.layer === 0).sort((a, b) => a.hot_seconds - b.hot_seconds)[0];
const state = {
  layer: Math.min(Number(asked.get('layer')) || 0, report.layers.length - 1),
  numeric: numerics.includes(asked.get('numeric')) ? asked.get('numeric') : fastestDense?.numeric ?? numerics[0],
  mode: asked.get('mode') === 'cold' ? 'cold' : 'hot',
  hidden: new Set(), allTypes: false, allRows: false, sort: {key: 'vs_dense', down: true},
};
const ratioOf = m => state.mode === 'hot' ? m.vs_dense : m.vs_dense_rotating;
const secondsOf = m => state.mode === 'hot' ? m.hot_seconds : m.rotating_seconds;
const shown = () => report.measurements.filter(m => m.layer === state.layer && !state.hidden.has(m.format));

// ---- headlines, break-evens, controls ---------------------------------------------------------------------------
function select(change) {
  Object.assign(state, change);
  history.replaceState(null, '', `#layer=${state.layer}&numeric=${state.numeric}&mode=${state.mode}`);
  render();
}

function choice(place, values, current, change) {
  place.replaceChildren(...values.map(([value, text]) => element('button',
    {type: 'button', textContent: text, ariaPressed: String(value === current), onclick: () => select(change(value))})));
}

function drawControls() {
  for (const place of document.querySelectorAll('.numeric')) {
    choice(place, numerics.map(n => [n, n]), state.numeric, numeric => ({numeric}));
  }
  const cold = report.measurements.some(m => m.rotating_seconds != null);
  choice(id('mode'), [['hot', 'hot weights'], ...(cold ? [['cold', 'cold weights']] : [])], state.mode, mode => ({mode}));
  id('layer').replaceChildren(...report.layers.map((l, i) => element('option', {value: i, textContent: l.name, selected: i === state.layer})));
  id('layer').onchange = event => select({layer: Number(event.target.value)});
  const here = new Set(report.measurements.filter(m => m.layer === state.layer).map(m => m.format));
  id('legend').replaceChildren(...['dense', ...formats].filter(f => here.has(f)).map(format => {
    const chip = element('button', {type: 'button', title: 'show or hide', ariaPressed: String(!state.hidden.has(format)),
      onclick: () => { state.hidden.delete(format) || state.hidden.add(format); render(); }});
    chip.innerHTML = `<svg viewBox="-6 -6 12 12" fill="${colourOf(format)}" stroke="${colourOf(format)}" stroke-width="2" aria-hidden="true">${shapeOf(format)[2]}</svg>`;
    chip.append(format);
    return chip;
  }));
}

function drawHeadlines() {
  const place = id('headlines');
  place.replaceChildren();
  let source = null;
  for (const h of headlines.filter(h => h.numeric === state.numeric)) {
    const l = report.layers[h.layer];
    if (l.source !== source) place.append(element('p', {className: 'group', textContent: source = l.source}));
    const factor = h.sparse ? element('span', {className: 'factor', textContent: times(h.vs_dense)}, element('small', {textContent: `at ${percent(h.sparsity)}`}))
                            : element('span', {className: 'factor dense', textContent: 'dense'});
    place.append(element('button', {type: 'button', className: 'headline', ariaPressed: String(h.layer === state.layer), onclick: () => select({layer: h.layer})},
      factor, element('span', {}, element('b', {textContent: l.name}), element('small', {textContent: `${l.m} × ${l.n} × ${l.k}, ${l.kind}`})),
      element('span', {className: 'text', textContent: h.text.replace(/(\d)x/g, '$1×').replaceAll(' %', '\u00a0%')})));
  }
}

function drawEvens() {
  const evens = report.break_evens.filter(b => b.numeric === state.numeric);
  const columns = formats.filter(f => evens.some(b => b.format === f));
  const head = element('tr', {}, element('th', {textContent: 'layer'}), ...columns.map(f => element('th', {scope: 'col', textContent: f.replace('<', '\u200b<')})));
  const rows = report.layers.map((l, layer) => element('tr', {}, element('th', {scope: 'row', textContent: l.name}), ...columns.map(format => {
    const own = evens.filter(b => b.layer === layer);
    const b = own.find(b => b.format === format);
    if (!b) return element('td');
    if (b.sparsity == null) return element('td', {className: 'never', textContent: 'never'});
    const cell = element('td', {textContent: (b.at_most ? '≤ ' : '') + percent(b.sparsity)});
    cell.style.setProperty('--strength', (0.42 * (1 - b.sparsity)).toFixed(2));
    if (b.sparsity === Math.min(...own.map(b => b.sparsity ?? 1))) cell.className = 'first';
    return cell;
  })));
  id('evens').replaceChildren(element('thead', {}, head), element('tbody', {}, ...rows));
}

// ---- plots ------------------------------------------------------------------------------------------------------
const narrow = () => matchMedia('(max-width: 50rem)').matches;
const faded = colour => colour + '40';  // colours are #rrggbb
const charts = {};

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
  ctx.font = '12px ' + Chart.defaults.font.family;
  ctx.textBaseline = 'middle';
  for (const label of labels) {
    const w = ctx.measureText(label.text).width, h = 13;
    const tries = {right: [9, 0], left: [-w - 9, 0], above: [-w / 2, -14], below: [-w / 2, 14], aboveRight: [6, -13], aboveLeft: [-w - 6, -13], belowRight: [6, 13], belowLeft: [-w - 6, 13]};
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
  ctx.font = '12px ' + Chart.defaults.font.family;
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
  ctx.font = '12px ' + Chart.defaults.font.family;
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
      animation: false, maintainAspectRatio: false, scales, layout: {padding: {right: padding, top: 8}},
      interaction: {mode: 'nearest', intersect: true},
      plugins: {
        legend: {display: false},
        tooltip: {
          filter: item => item.raw.m != null, displayColors: false, padding: 10,
          callbacks: {
            title: ([item]) => item ? `${item.raw.m.format} ${item.raw.m.numeric}, ${percent(item.raw.m.sparsity)} zeros` : '',
            label: ({raw: {m}}) => [
              `${times(m.vs_dense)} dense hot, ${times(m.vs_dense_rotating)} cold`, `${m.gmacs.toFixed(0)} GMAC/s, ${percent(m.of_peak)} of peak`,
              `${seconds(m.hot_seconds)} a call, packed in ${seconds(m.pack_seconds)}`, `${m.bytes_per_weight.toFixed(3)} bytes a weight, ${decibels(m.sqnr_db)}`, m.note].filter(Boolean),
          },
        },
      },
    },
    plugins: [{beforeDatasetsDraw: chart => before?.(chart), afterDatasetsDraw: chart => after?.(chart)}],
  });
}

function axis(title, more = {}) {
  return {title: {display: true, text: title}, grid: {color: style('--rule'), drawBorder: false}, ...more, ticks: {maxRotation: 0, ...more.ticks}};
}
const logAxis = (title, values, more = {}) =>
  axis(title, {type: 'logarithmic', afterBuildTicks: scale => { scale.ticks = values.filter(v => v >= scale.min * 0.999 && v <= scale.max * 1.001).map(value => ({value})); }, ...more});
const decades = (from, to, steps = [1]) => {
  const values = [];
  for (let e = from; e <= to; ++e) for (const s of steps) values.push(s * 10 ** e);
  return values;
};

function dataset(format, points, more = {}) {
  const colour = colourOf(format);
  return {data: points, borderColor: colour, backgroundColor: colour, pointStyle: shapeOf(format)[0], pointRotation: shapeOf(format)[1], radius: 4.5, hoverRadius: 6.5,
          pointBorderWidth: 1.75, borderWidth: 1.75, showLine: true, clip: 8, ...more};
}
const byFormat = (entries, point) => formats.map(format => [format, entries.filter(m => m.format === format).sort((a, b) => a.sparsity - b.sparsity).map(point)])
  .filter(([, points]) => points.length > 0);

// x: -log2(density), so that "k times fewer multiply-adds, k times faster" is a straight line.
const octaves = sparsity => -Math.log2(Math.max(1 - sparsity, 1e-4));

function drawSpeed() {
  const entries = shown().filter(m => m.numeric === state.numeric && !isDense(m) && ratioOf(m) != null);
  const lines = byFormat(entries, m => ({x: octaves(m.sparsity), y: ratioOf(m), m}));
  const dense = report.measurements.find(m => m.layer === state.layer && m.numeric === state.numeric && isDense(m));
  const evens = state.mode === 'cold' ? [] : report.break_evens.filter(b => b.layer === state.layer && b.numeric === state.numeric && b.sparsity != null && !b.at_most && !state.hidden.has(b.format));
  const end = Math.max(1, ...entries.map(m => octaves(m.sparsity)));
  const ratios = [1, ...entries.map(ratioOf)];
  const muted = style('--muted'), ink = style('--ink');

  const datasets = [
    {data: [{x: 0, y: 1}, {x: end, y: 2 ** end}], showLine: true, radius: 0, hitRadius: 0, borderColor: muted, borderWidth: 1, borderDash: [2, 4]},
    {data: [{x: 0, y: 1, m: dense}, {x: end, y: 1, m: dense}], showLine: true, radius: 0, hitRadius: 6, borderColor: ink, borderWidth: 2},
    ...lines.map(([format, points]) => dataset(format, points)),
    {data: evens.map(b => ({x: octaves(b.sparsity), y: 1})), radius: 7, hitRadius: 0, pointStyle: 'circle', backgroundColor: 'transparent', borderWidth: 2,
     borderColor: evens.map(b => colourOf(b.format))},
  ];
  const levels = [...new Set([0, 0.5, ...entries.map(m => m.target_sparsity)])].sort((a, b) => a - b);
  const scales = {
    x: axis('zeros', {min: 0, max: end, afterBuildTicks: scale => {
      let last = -1;
      scale.ticks = levels.map(s => ({value: octaves(s), label: percent(s)})).filter(t => {
        const fits = t.value <= end + 1e-6 && (last < 0 || (t.value - last) / end * scale.width > 48);
        if (fits) last = t.value;
        return fits;
      });
    }, ticks: {callback: (value, i, ticks) => percent(1 - 2 ** -value)}}),
    y: logAxis(`speed over dense ${state.numeric}`, [1 / 64, 1 / 32, 1 / 16, 1 / 8, 1 / 4, 1 / 2, 1, 2, 4, 8, 16, 32, 64],
      {min: Math.min(...ratios) * 0.85, max: Math.max(2, ...ratios) * 1.25, ticks: {callback: v => `${v < 1 ? `1/${Math.round(1 / v)}` : v}×`}}),
  };
  const before = ({ctx, chartArea: area, scales: {y}}) => {
    const from = y.getPixelForValue(1);
    ctx.fillStyle = `rgba(${style('--behind')}, .045)`;
    ctx.fillRect(area.left, from, area.right - area.left, area.bottom - from);
  };
  const after = chart => {
    const at = (x, y) => ({x: chart.scales.x.getPixelForValue(x), y: chart.scales.y.getPixelForValue(y)});
    const last = ([format, points]) => ({...at(points.at(-1).x, points.at(-1).y), text: format, colour: colourOf(format)});
    if (!narrow()) nameEnds(chart, lines.filter(([, points]) => points.at(-1).x > end - 0.1).map(last));
    nameRings(chart, evens.map(b => ({...at(octaves(b.sparsity), 1), text: percent(b.sparsity), colour: colourOf(b.format)})));
    const labels = narrow() ? [] : lines.filter(([, points]) => points.at(-1).x <= end - 0.1).map(line => ({...last(line), anchors: ['right', 'belowRight', 'below', 'left', 'above']}));
    labels.push({...at(end, chart.scales.y.min), text: 'slower than dense', colour: muted, anchors: ['aboveLeft']});
    const top = Math.min(end, Math.log2(chart.scales.y.max)) * 0.72;
    labels.push({...at(top, 2 ** top), text: 'ideal: 1 / density', colour: muted, anchors: ['aboveLeft', 'left']});
    placeLabels(chart, labels, entries.map(m => at(octaves(m.sparsity), ratioOf(m))));
  };
  draw('speed', datasets, scales, {before, after, padding: narrow() ? 12 : 140});
  id('speed').ariaLabel = `Speed over dense ${state.numeric} against sparsity, layer ${report.layers[state.layer].name}; the table below has the figures`;
  id('speed-caption').textContent = `${report.layers[state.layer].name}, ${state.numeric}, ${state.mode} weights. Dense is the horizontal line` +
    (dense ? ` (${secondsOf(dense) == null ? '' : `${seconds(secondsOf(dense))} a call, `}${dense.gmacs.toFixed(0)} GMAC/s hot)` : '') +
    (state.mode === 'hot' ? '; rings mark where a format crosses it.' : '.') + ' Both axes are logarithmic in what is kept.';
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
    const dress = format => front ? {} : {borderColor: faded(colourOf(format)), backgroundColor: faded(colourOf(format)), radius: 3.5};
    for (const [format, points] of byFormat(own, point)) datasets.unshift(dataset(format, points, {borderWidth: front ? 1 : 0.75, ...dress(format)}));
    datasets.unshift(dataset('dense', own.filter(isDense).map(point), {radius: 6, ...dress('dense')}));
  }
  // Nothing of the same type is both smaller and more exact.
  const own = entries.filter(m => m.numeric === state.numeric);
  const best = own.filter(a => !isDense(a) && !own.some(b => b.bytes_per_weight <= a.bytes_per_weight && y(b) >= y(a) && (b.bytes_per_weight < a.bytes_per_weight || y(b) > y(a))));
  const after = chart => {
    const at = m => ({x: chart.scales.x.getPixelForValue(m.bytes_per_weight), y: chart.scales.y.getPixelForValue(y(m))});
    const anchors = ['left', 'aboveLeft', 'belowLeft', 'above', 'right', 'belowRight'];
    const dense = entries.filter(isDense).map(m => ({...at(m), text: `dense ${m.numeric}`, colour: style(m.numeric === state.numeric ? '--ink' : '--muted'), anchors}));
    const front = best.map(m => ({...at(m), text: `${m.format} ${percent(m.target_sparsity)}`, colour: colourOf(m.format), anchors}));
    placeLabels(chart, [...dense, ...front], own.map(at));
  };
  draw('error', datasets, {
    x: logAxis('bytes per weight', [.01, .02, .05, .1, .2, .5, 1, 2, 4, 8], {min: Math.min(...entries.map(m => m.bytes_per_weight)) * 0.75, max: Math.max(...entries.map(m => m.bytes_per_weight)) * 1.4, ticks: {callback: v => v}}),
    y: axis('SQNR in dB', {min: Math.min(0, ...finite.map(m => m.sqnr_db)), max: top, ticks: {stepSize: 10, callback: v => v % 10 === 0 ? v : v === top && finite.length < entries.length ? 'exact' : ''}}),
  }, {after});
  id('error').ariaLabel = 'Signal to quantization noise against bytes per weight; the table below has the figures';
}

function drawRoof() {
  const here = report.machine;
  const float = state.numeric.includes('f');
  const peak = float ? here.fma_gmacs : here.dot_gmacs;
  const activation = float ? 4 : 1;
  const entries = shown().filter(m => m.numeric === state.numeric && secondsOf(m) != null);
  const l = report.layers[state.layer];
  const point = m => ({x: executed(m) / (m.bytes + l.m * l.k * activation + l.m * l.n * 4), y: executed(m) / secondsOf(m) / 1e9, m});
  const lines = byFormat(entries, point);
  const all = entries.map(point);
  const xs = all.map(p => p.x).filter(x => x > 0), ys = all.map(p => p.y).filter(y => y > 0);
  const speeds = here.read_bandwidths.map(b => b.gb_per_second);
  const x0 = Math.min(...xs, peak / Math.max(...speeds)) / 2, x1 = Math.max(...xs, peak / Math.min(...speeds)) * 2;
  const muted = style('--muted');
  const roof = gbs => ({data: [{x: x0, y: gbs * x0}, {x: peak / gbs, y: peak}], showLine: true, radius: 0, hitRadius: 0, borderColor: muted, borderWidth: 1});
  const datasets = [
    {data: [{x: x0, y: peak}, {x: x1, y: peak}], showLine: true, radius: 0, hitRadius: 0, borderColor: style('--ink'), borderWidth: 2},
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
    for (const b of here.read_bandwidths) {  // along its line, a little above
      const start = Math.max(x0, y0 / b.gb_per_second) * 1.06;
      const from = [x.getPixelForValue(start), y.getPixelForValue(start * b.gb_per_second)];
      const to = [x.getPixelForValue(peak / b.gb_per_second), y.getPixelForValue(peak)];
      ctx.save();
      ctx.translate(...from);
      ctx.rotate(Math.atan2(to[1] - from[1], to[0] - from[0]));
      ctx.fillText(`${b.level} ${digits(b.gb_per_second, 3)} GB/s`, 4, -4);
      ctx.restore();
    }
    ctx.fillStyle = style('--ink');
    ctx.textAlign = 'right';
    ctx.fillText(`${float ? 'fma' : 'int8 dot'} peak ${peak.toFixed(0)} GMAC/s`, area.right - 4, y.getPixelForValue(peak) - 6);
    ctx.restore();
  };
  draw('roof', datasets, {
    x: logAxis('executed MACs per byte moved', decades(-2, 5, [1, 3]), {min: x0, max: x1, ticks: {callback: v => v}}),
    y: logAxis('executed GMAC/s', decades(-2, 5, [1, 2, 5]), {min: y0, max: peak * 1.5, ticks: {callback: v => v}}),
  }, {after});
  id('roof').ariaLabel = 'Executed multiply-adds per second against multiply-adds per byte, under the roofs of the machine';
  id('roof-caption').textContent = `How near to what this machine can do at all. Bytes are the stored weights, the activations and the outputs, once each; ${state.mode} weights.`;
}

// ---- tables -----------------------------------------------------------------------------------------------------
const columns = [
  ['format', 'format', m => m.format], ['numeric', 'type', m => m.numeric], ['sparsity', 'zeros', m => percent(m.sparsity)],
  ['vs_dense', '× dense', m => times(m.vs_dense)], ['vs_dense_rotating', '× cold', m => times(m.vs_dense_rotating)],
  ['gmacs', 'GMAC/s', m => digits(m.gmacs, 3)], ['of_peak', 'of peak', m => percent(m.of_peak)], ['hot_seconds', 'time hot', m => seconds(m.hot_seconds)],
  ['rotating_seconds', 'time cold', m => seconds(m.rotating_seconds)], ['pack_seconds', 'packing', m => seconds(m.pack_seconds)],
  ['bytes', 'size', m => bytes(m.bytes)], ['bytes_per_weight', 'B/weight', m => m.bytes_per_weight.toFixed(3)],
  ['sqnr_db', 'SQNR', m => decibels(m.sqnr_db)], ['max_error', 'max error', m => percent(m.max_error)],
  ['kernel', 'kernel', m => [m.kernel, m.note].filter(Boolean).join('; ')],
];

function drawFigures() {
  const entries = shown().filter(m => state.allTypes || m.numeric === state.numeric);
  const {key, down} = state.sort;
  const value = m => m[key] ?? (key === 'sqnr_db' ? Infinity : -Infinity);
  entries.sort((a, b) => (value(a) < value(b) ? -1 : value(a) > value(b) ? 1 : 0) * (down ? -1 : 1));
  const largest = Math.max(...entries.map(m => m.vs_dense));
  const limit = 25;
  const head = element('tr', {}, ...columns.map(([name, title]) => {
    const cell = element('th', {scope: 'col'}, element('button', {type: 'button', textContent: title,
      onclick: () => { state.sort = {key: name, down: name === key ? !down : !['format', 'numeric', 'kernel'].includes(name)}; drawFigures(); }}));
    if (name === key) cell.ariaSort = down ? 'descending' : 'ascending';
    return cell;
  }));
  const rows = entries.filter((m, i) => state.allRows || i < limit || isDense(m)).map(m => element('tr', {className: isDense(m) ? 'dense' : ''}, ...columns.map(([name, , text]) => {
    const cell = element('td', {textContent: text(m), className: name === 'vs_dense' ? 'ratio' : name === 'kernel' ? 'words' : ''});
    if (name === 'vs_dense') cell.style.setProperty('--share', `${(100 * m.vs_dense / largest).toFixed(0)}%`);
    return cell;
  })));
  id('figures').replaceChildren(element('thead', {}, head), element('tbody', {}, ...rows));
  id('more').hidden = entries.length <= limit;
  id('more').textContent = state.allRows ? `Show ${limit} rows` : `Show all ${entries.length} rows`;
}

function table(place, titles, rows) {
  place.replaceChildren(element('thead', {}, element('tr', {}, ...titles.map(t => element('th', {scope: 'col', textContent: t})))),
    element('tbody', {}, ...rows.map(row => element('tr', {}, ...row.map(text => element('td', {textContent: text}))))));
}

// What does not depend on the selection.
function drawRest() {
  const here = report.machine;
  id('subtitle').textContent = [here.cpu, here.isa, here.compiler, report.date.slice(0, 10)].filter(Boolean).join(' · ');
  id('networks-section').hidden = report.networks.length === 0;
  table(id('networks'), ['network', 'stored as', 'outputs that match', 'top-1', 'weights', 'time an input', 'note'],
    report.networks.map(n => [n.name, n.variant, `${n.matches} of ${n.of}`, n.labelled ? `${n.top1_correct} of ${n.labelled}` : '–', bytes(n.bytes), seconds(n.seconds_per_input), n.note]));

  const reasons = new Map();  // reason -> combination -> layers
  for (const o of report.omissions) {
    const combinations = reasons.get(o.reason) ?? reasons.set(o.reason, new Map()).get(o.reason);
    const name = `${o.format} ${o.numeric}`;
    combinations.set(name, [...combinations.get(name) ?? [], report.layers[o.layer].name]);
  }
  const list = [...reasons].map(([reason, combinations]) => element('li', {}, element('b', {textContent: reason}),
    ': ' + [...combinations].map(([name, layers]) => name + (layers.length === report.layers.length ? ' (all layers)' : ` (${layers.join(', ')})`)).join('; ')));
  id('missing').replaceChildren(list.length ? element('ul', {}, ...list) : element('p', {textContent: 'Everything that was asked for was measured.'}));

  const facts = [['CPU', here.cpu], ['caches', here.caches.map(c => `${c.name} ${bytes(c.bytes)}`).join(', ')], ['instruction sets', here.isa],
    ['compiler', `${here.compiler} ${here.flags}`], ['peaks, one thread', `int8 dot ${digits(here.dot_gmacs, 3)} GMAC/s, f32 fma ${digits(here.fma_gmacs, 3)} GMAC/s`],
    ['reading, one thread', here.read_bandwidths.map(b => `${b.level} ${digits(b.gb_per_second, 3)} GB/s`).join(', ')], ['sources', `commit ${here.commit}`], ['seed', String(here.seed)], ['date', report.date]];
  id('machine').replaceChildren(...facts.flatMap(([name, text]) => [element('dt', {textContent: name}), element('dd', {textContent: text || 'unknown'})]));
}

function render() {
  Object.assign(Chart.defaults, {color: style('--muted')});
  Chart.defaults.font.family = getComputedStyle(document.body).fontFamily;
  drawControls();
  drawHeadlines();
  drawEvens();
  drawSpeed();
  drawError();
  drawRoof();
  drawFigures();
}

id('all-types').onchange = event => { state.allTypes = event.target.checked; drawFigures(); };
id('more').onclick = () => { state.allRows = !state.allRows; drawFigures(); };
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', render);
matchMedia('(max-width: 50rem)').addEventListener('change', render);
drawRest();
render();

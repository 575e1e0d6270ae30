// SPDX-License-Identifier: MIT
// Headlines, break-evens, controls and tables; draws the page when it is loaded and after every choice.

// ---- headlines, break-evens, controls ---------------------------------------------------------------------------
function select(change) {
  Object.assign(state, change);
  history.replaceState(null, '', `#layer=${state.layer}&numeric=${state.numeric}&mode=${state.mode}`);
  render();
}

function choice(place, values, current, change) {
  place.replaceChildren(...values.map(([value, text]) => element('button', {
                                        type: 'button',
                                        textContent: text,
                                        ariaPressed: String(value === current),
                                        onclick: () => select(change(value))
                                      })));
}

function drawControls() {
  for (const place of document.querySelectorAll('.numeric')) {
    choice(place, numerics.map(n => [n, n]), state.numeric, numeric => ({numeric}));
  }
  const cold = report.measurements.some(m => m.rotating_seconds != null);
  choice(
      id('mode'), [['hot', 'hot weights'], ...(cold ? [['cold', 'cold weights']] : [])], state.mode, mode => ({mode}));
  id('layer').replaceChildren(
      ...report.layers.map((l, i) => element('option', {value: i, textContent: l.name, selected: i === state.layer})));
  id('layer').onchange = event => select({layer: Number(event.target.value)});
  const here = new Set(report.measurements.filter(m => m.layer === state.layer).map(m => m.format));
  id('legend').replaceChildren(...['dense', ...formats].filter(f => here.has(f)).map(format => {
    const chip = element('button', {
      type: 'button',
      title: 'show or hide',
      ariaPressed: String(!state.hidden.has(format)),
      onclick: () => {
        state.hidden.delete(format) || state.hidden.add(format);
        render();
      }
    });
    chip.innerHTML = `<svg viewBox="-6 -6 12 12" fill="${colourOf(format)}" stroke="${
        colourOf(format)}" stroke-width="2" aria-hidden="true">${shapeOf(format)[2]}</svg>`;
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
    const factor = h.sparse ? element(
                                  'span', {className: 'factor', textContent: times(h.vs_dense)},
                                  element('small', {textContent: `at ${percent(h.sparsity)}`})) :
                              element('span', {className: 'factor dense', textContent: 'dense'});
    place.append(element(
        'button', {
          type: 'button',
          className: 'headline',
          ariaPressed: String(h.layer === state.layer),
          onclick: () => select({layer: h.layer})
        },
        factor,
        element(
            'span', {}, element('b', {textContent: l.name}),
            element('small', {textContent: `${l.m} × ${l.n} × ${l.k}, ${l.kind}`})),
        element(
            'span', {className: 'text', textContent: h.text.replace(/(\d)x/g, '$1×').replaceAll(' %', '\u00a0%')})));
  }
}

function drawEvens() {
  const evens = report.break_evens.filter(b => b.numeric === state.numeric);
  const columns = formats.filter(f => evens.some(b => b.format === f));
  id('evens-section').hidden = columns.length === 0;
  const head = element(
      'tr', {}, element('th', {textContent: 'layer'}),
      ...columns.map(f => element('th', {scope: 'col', textContent: f.replace('<', '\u200b<')})));
  const rows = report.layers.map(
      (l, layer) => element('tr', {}, element('th', {scope: 'row', textContent: l.name}), ...columns.map(format => {
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

// ---- tables -----------------------------------------------------------------------------------------------------
const columns = [
  ['format', 'format', m => m.format],
  ['numeric', 'type', m => m.numeric],
  ['sparsity', 'zeros', m => percent(m.sparsity)],
  ['vs_dense', '× dense', m => times(m.vs_dense)],
  ['vs_dense_rotating', '× cold', m => times(m.vs_dense_rotating)],
  ['gmacs', 'GMAC/s', m => digits(m.gmacs, 3)],
  ['of_peak', 'of peak', m => percent(m.of_peak)],
  ['slot_efficiency', 'slots used', m => percent(m.slot_efficiency)],
  ['hot_seconds', 'time hot', m => seconds(m.hot_seconds)],
  ['rotating_seconds', 'time cold', m => seconds(m.rotating_seconds)],
  ['pack_seconds', 'packing', m => seconds(m.pack_seconds)],
  ['bytes', 'size', m => bytes(m.bytes)],
  ['bytes_per_weight', 'B/weight', m => m.bytes_per_weight.toFixed(3)],
  ['sqnr_db', 'SQNR', m => decibels(m.sqnr_db)],
  ['max_error', 'max error', m => percent(m.max_error)],
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
    const cell = element(
        'th', {scope: 'col'}, element('button', {
          type: 'button',
          textContent: title,
          onclick: () => {
            state.sort = {key: name, down: name === key ? !down : !['format', 'numeric', 'kernel'].includes(name)};
            drawFigures();
          }
        }));
    if (name === key) cell.ariaSort = down ? 'descending' : 'ascending';
    return cell;
  }));
  const rows = entries.filter((m, i) => state.allRows || i < limit || isDense(m))
                   .map(m => element('tr', {className: isDense(m) ? 'dense' : ''}, ...columns.map(([name, , text]) => {
                          const cell = element('td', {
                            textContent: text(m),
                            className: name === 'vs_dense' ? 'ratio' :
                                name === 'kernel'          ? 'words' :
                                                             ''
                          });
                          if (name === 'vs_dense')
                            cell.style.setProperty('--share', `${(100 * m.vs_dense / largest).toFixed(0)}%`);
                          return cell;
                        })));
  id('figures').replaceChildren(element('thead', {}, head), element('tbody', {}, ...rows));
  id('more').hidden = entries.length <= limit;
  id('more').textContent = state.allRows ? `Show ${limit} rows` : `Show all ${entries.length} rows`;
}

function table(place, titles, rows) {
  place.replaceChildren(
      element('thead', {}, element('tr', {}, ...titles.map(t => element('th', {scope: 'col', textContent: t})))),
      element(
          'tbody', {}, ...rows.map(row => element('tr', {}, ...row.map(text => element('td', {textContent: text}))))));
}

// What does not depend on the selection.
function drawRest() {
  const here = report.machine;
  id('subtitle').textContent =
      [here.cpu, here.isa, here.compiler, report.date.slice(0, 10)].filter(Boolean).join(' · ');
  id('doubts').hidden = doubts.length === 0;
  id('doubts').replaceChildren(
      element('b', {textContent: 'Do not rely on the speeds of this report. Measure again on an idle machine.'}),
      ...doubts.map(text => element('p', {textContent: text.replaceAll(' %', '\u00a0%').replace(/(\d)x/g, '$1×')})));
  id('networks-section').hidden = report.networks.length === 0;
  table(
      id('networks'), ['network', 'stored as', 'outputs that match', 'top-1', 'weights', 'time an input', 'note'],
      report.networks.map(
          n =>
              [n.name, n.variant, `${n.matches} of ${n.of}`, n.labelled ? `${n.top1_correct} of ${n.labelled}` : '–',
               bytes(n.bytes), seconds(n.seconds_per_input), n.note]));

  const reasons = new Map();  // reason -> combination -> layers
  for (const o of report.omissions) {
    const combinations = reasons.get(o.reason) ?? reasons.set(o.reason, new Map()).get(o.reason);
    const name = `${o.format} ${o.numeric}`;
    combinations.set(name, [...combinations.get(name) ?? [], report.layers[o.layer].name]);
  }
  const list = [...reasons].map(
      ([reason, combinations]) => element(
          'li', {}, element('b', {textContent: reason}),
          ': ' +
              [...combinations]
                  .map(
                      ([name, layers]) =>
                          name + (layers.length === report.layers.length ? ' (all layers)' : ` (${layers.join(', ')})`))
                  .join('; ')));
  id('missing').replaceChildren(
      list.length ? element('ul', {}, ...list) :
                    element('p', {textContent: 'Everything that was asked for was measured.'}));

  const facts = [
    ['CPU', here.cpu], ['caches', here.caches.map(c => `${c.name} ${bytes(c.bytes)}`).join(', ')],
    ['instruction sets', here.isa], ['compiler', `${here.compiler} ${here.flags}`],
    ['peaks, one thread', `int8 dot ${digits(here.dot_gmacs, 3)} GMAC/s, f32 fma ${digits(here.fma_gmacs, 3)} GMAC/s`],
    ['reading, one thread', here.read_bandwidths.map(b => `${b.level} ${digits(b.gb_per_second, 3)} GB/s`).join(', ')],
    ['sources', `commit ${here.commit}`], ['seed', String(here.seed)], ['date', report.date]
  ];
  id('machine').replaceChildren(...facts.flatMap(
      ([name, text]) => [element('dt', {textContent: name}), element('dd', {textContent: text || 'unknown'})]));
}

function render() {
  Object.assign(Chart.defaults, {color: style('--muted')});
  Chart.defaults.font.family = getComputedStyle(document.body).fontFamily;
  id('layer-section').hidden = report.measurements.length === 0;
  if (report.measurements.length === 0) return;
  drawControls();
  drawHeadlines();
  drawEvens();
  drawSpeed();
  drawError();
  drawRoof();
  drawFigures();
}

id('all-types').onchange = event => {
  state.allTypes = event.target.checked;
  drawFigures();
};
id('more').onclick = () => {
  state.allRows = !state.allRows;
  drawFigures();
};
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', render);
matchMedia('(max-width: 50rem)').addEventListener('change', render);
drawRest();
render();

// SPDX-License-Identifier: MIT
// What the page shows: the report, how its figures are written, how formats look, and what the reader has chosen.
// Formats keep colour and marker everywhere on the page; the dense kernel has the colour of the text.
'use strict';

const report = JSON.parse(document.getElementById('report-data').textContent);
const {headlines, doubts} = JSON.parse(document.getElementById('sentences-data').textContent);

// ---- words and numbers ------------------------------------------------------------------------------------------
const id = name => document.getElementById(name);
const percent = x => x == null ? '–' : `${+ (100 * x).toFixed(1)}\u00a0%`;
const digits = (x, n) => x >= 10 ** (n - 1) ? x.toFixed(0) : x.toPrecision(n);
const times = x => x == null ? '–' : `${x < 9.995 ? x.toFixed(2) : digits(x, 3)}×`;
const seconds = x => x == null ? '–' :
    x < 1e-3                   ? `${digits(x * 1e6, 3)} µs` :
                      x < 1 ? `${digits(x * 1e3, 3)} ms` :
                              `${digits(x, 3)} s`;
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
  ['circle', 0, '<circle r="4"/>'],
  ['rect', 0, '<path d="M-4-4H4V4H-4Z"/>'],
  ['triangle', 0, '<path d="M0-5L5 4H-5Z"/>'],
  ['rectRot', 0, '<path d="M0-5L5 0L0 5L-5 0Z"/>'],
  ['triangle', 180, '<path d="M0 5L5-4H-5Z"/>'],
  ['cross', 0, '<path d="M-5 0H5M0-5V5"/>'],
  ['crossRot', 0, '<path d="M-4-4L4 4M-4 4L4-4"/>'],
  ['star', 0, '<path d="M-5 0H5M0-5V5M-4-4L4 4M-4 4L4-4"/>'],
  ['triangle', 90, '<path d="M5 0L-4 5V-5Z"/>'],
  ['circle', 0, '<circle r="4"/>'],
  ['triangle', 270, '<path d="M-5 0L4 5V-5Z"/>'],
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
const fastestDense =
    report.measurements.filter(m => isDense(m) && m.layer === 0).sort((a, b) => a.hot_seconds - b.hot_seconds)[0];
const state = {
  layer: Math.min(Number(asked.get('layer')) || 0, report.layers.length - 1),
  numeric: numerics.includes(asked.get('numeric')) ? asked.get('numeric') : fastestDense?.numeric ?? numerics[0],
  mode: asked.get('mode') === 'cold' ? 'cold' : 'hot',
  hidden: new Set(),
  allTypes: false,
  allRows: false,
  sort: {key: 'vs_dense', down: true},
};
const ratioOf = m => state.mode === 'hot' ? m.vs_dense : m.vs_dense_rotating;
const secondsOf = m => state.mode === 'hot' ? m.hot_seconds : m.rotating_seconds;
const shown = () => report.measurements.filter(m => m.layer === state.layer && !state.hidden.has(m.format));

// What a click tells of a cell: every layer of the day, and the days before.

const HISTORY_DAYS = 21;
const SVG = "http://www.w3.org/2000/svg";

function drawn(tag, attributes, text) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  if (text !== undefined) made.textContent = text;
  return made;
}

// The interval of the estimate, [low, high]; no other layer has one.
function intervalAt(frame, key, lng, lat) {
  const names = ["pm25_lower", "pm25_upper"];
  return Promise.all(names.map((name) => (key === "pm25" ? valueAt(frame, name, lng, lat) : null)));
}

// The main words of a cell, read out by a screen reader; then a table of all other layers.
async function describeCell(frame, key, lng, lat, scheme) {
  const box = element("div");
  const value = await valueAt(frame, key, lng, lat);
  const map = DATA.maps[frame];
  if (value === null) {
    const why = cellAt(frame, lng, lat) ? "no value here" : "outside of the map";
    box.append(element("p", { class: "big" }, "No value"), element("p", {}, `${placeText(lng, lat)}: ${why}.`));
    return box;
  }
  const big = element("p", { class: "big" }, withUnit(frame, key, value));
  box.append(big);
  if (layerOf(key).kind === "concentration") {
    const found = classOf(scheme, value);
    const name = element("span", { class: "class" }, found.name);
    name.style.borderColor = found.shades[found.shades.length >> 1];
    box.append(element("p", {}, name));
  }
  const [low, high] = await intervalAt(frame, key, lng, lat);
  if (low !== null && high !== null) {
    box.append(element("p", {}, `Interval ${numberText(frame, "pm25_lower", low)} to ${withUnit(frame, "pm25_upper", high)}`));
  }
  box.append(element("p", { class: "note" }, `${layerOf(key).label}, ${map.name}; cell at ${placeText(lng, lat)}`));
  const table = element("table");
  for (const layer of DATA.layers) {
    if (layer.key === key || !map.layers[layer.key]) continue;
    const other = await valueAt(frame, layer.key, lng, lat);
    const words = other === null ? "no value" : withUnit(frame, layer.key, other);
    table.append(element("tr", {}, element("th", { scope: "row" }, layer.label), element("td", {}, words)));
  }
  if (table.childNodes.length) box.append(table);
  return box;
}

// The last 21 days up to the shown one, as far as the page holds them: {day, value, low, high}.
async function historyOf(frame, key, lng, lat) {
  const end = DATA.maps[frame].day;
  const days = new Map();
  for (const [number, map] of DATA.maps.entries()) {
    if (!map.day || !end || map.day > end || !map.layers[key]) continue;
    if ((Date.parse(end) - Date.parse(map.day)) / 864e5 >= HISTORY_DAYS) continue;
    if (days.has(map.day) && number !== frame) continue; // of two maps of a day the shown one counts
    const value = await valueAt(number, key, lng, lat);
    if (value === null) continue;
    const [low, high] = await intervalAt(number, key, lng, lat);
    days.set(map.day, { day: map.day, frame: number, value, low, high });
  }
  return [...days.values()].sort((a, b) => (a.day < b.day ? -1 : 1));
}

function drawHistory(box, points, key, scheme) {
  box.replaceChildren();
  if (points.length < 2) {
    const words = "No other day of the 21 up to this one is in this page: give pm25map view a folder of days.";
    box.append(element("p", { class: "note" }, words));
    return;
  }
  const layer = layerOf(key), unit = unitText(layer.unit);
  const [width, height, left, right, top, bottom] = [336, 146, 40, 8, 24, 22];
  const end = Date.parse(points[points.length - 1].day), start = Date.parse(points[0].day);
  const values = points.flatMap((p) => [p.value, p.low ?? p.value, p.high ?? p.value]);
  const most = Math.max(...values), least = Math.min(0, ...values);
  const x = (p) => left + ((Date.parse(p.day) - start) / (end - start)) * (width - left - right);
  const y = (v) => height - bottom - ((v - least) / (most - least || 1)) * (height - top - bottom);
  const text = (p) => `${p.day}: ${withUnit(p.frame, key, p.value)}`;
  const peak = points.reduce((a, b) => (b.value > a.value ? b : a));
  const label = `${points.length} days of this cell, ${points[0].day} to ${points[points.length - 1].day}; highest ${text(peak)}`;
  const svg = drawn("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label });
  for (const v of [least, (least + most) / 2, most]) {
    svg.append(drawn("line", { x1: left, x2: width - right, y1: y(v), y2: y(v), stroke: "#dfe3e6" }));
    svg.append(drawn("text", { x: left - 5, y: y(v) + 3.5, "text-anchor": "end" }, String(Number(v.toPrecision(3)))));
  }
  svg.append(drawn("text", { x: 2, y: 9 }, unit));
  const span = points.filter((p) => p.low !== null && p.high !== null);
  if (span.length > 1) {
    const rim = [...span.map((p) => [x(p), y(p.high)]), ...span.reverse().map((p) => [x(p), y(p.low)])];
    svg.append(drawn("polygon", { points: rim.map((p) => p.join()).join(" "), fill: "#c9d0d5", opacity: 0.6 }));
  }
  svg.append(drawn("polyline", { points: points.map((p) => `${x(p)},${y(p.value)}`).join(" "), fill: "none", stroke: "#4d565d", "stroke-width": 1.4 }));
  for (const p of points) {
    const found = layer.kind === "concentration" ? classOf(scheme, p.value) : null;
    const dot = drawn("circle", { cx: x(p), cy: y(p.value), r: 3.6, fill: found ? found.shades[found.shades.length >> 1] : "#4d565d", stroke: "#22272b" });
    dot.append(drawn("title", {}, text(p)));
    svg.append(dot);
  }
  const dayText = (p) => p.day.slice(5);
  svg.append(drawn("text", { x: left, y: height - 6 }, dayText(points[0])));
  svg.append(drawn("text", { x: width - right, y: height - 6, "text-anchor": "end" }, dayText(points[points.length - 1])));
  const table = element("table");
  for (const p of points) {
    table.append(element("tr", {}, element("th", { scope: "row" }, p.day), element("td", {}, withUnit(p.frame, key, p.value))));
  }
  box.append(svg, element("details", {}, element("summary", {}, "These days as a table"), table));
}

// The colours of a layer: one for each code, and the legend that explains them.

const rgb = (hex) => [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16));

// 65,536 colours, one for each code of a layer: RGBA, transparent where there is no value.
function tableOf(frame, key, scheme) {
  const layer = layerOf(key);
  const { step, offset } = DATA.maps[frame].layers[key];
  const table = new Uint8Array(4 * 65536);
  const put = (code, colour) => table.set([...colour, 255], 4 * code);
  if (layer.kind === "concentration") {
    const { edges, shades } = scheme;
    const colours = shades.map(rgb);
    for (let code = 0, i = 0; code < MISSING; code++) {
      // The middle of the step: a value cut to 9.0 is Good, and one of 9.1 is Moderate.
      const value = offset + step * (code + 0.5);
      while (i < colours.length - 1 && value >= edges[i + 1]) i++;
      put(code, colours[i]);
    }
    return table;
  }
  const [low, high] = layer.range;
  const colours = (layer.range[0] < 0 ? DATA.ramps.signed : DATA.ramps.plain).map(rgb);
  for (let code = 0; code < MISSING; code++) {
    const value = layer.kind === "flags" ? bits(code) : offset + step * code;
    const share = high > low ? (value - low) / (high - low) : 0;
    put(code, colours[Math.max(0, Math.min(colours.length - 1, Math.floor(share * colours.length)))]);
  }
  return table;
}

function bits(code) {
  let count = 0;
  for (let rest = code; rest; rest &= rest - 1) count++;
  return count;
}

function classOf(scheme, value) {
  return scheme.classes.findLast((one) => value >= one.low - 1e-6) ?? scheme.classes[0];
}

function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

function drawLegend(box, key, scheme) {
  const layer = layerOf(key);
  box.replaceChildren();
  const unit = unitText(layer.unit);
  const title = layer.kind === "flags" ? "Number of flags raised" : `${layer.label}${unit ? `, ${unit}` : ""}`;
  box.append(element("div", { class: "title" }, title));
  if (layer.kind === "concentration") {
    const list = element("ul");
    for (const one of scheme.classes) {
      const swatch = element("span", { class: "swatch", "aria-hidden": "true" });
      swatch.style.background = `linear-gradient(90deg, ${one.shades.join(",")})`;
      const range = one.high === null ? `${one.low.toFixed(1)} and above` : `${one.low.toFixed(1)} to ${one.high.toFixed(1)}`;
      list.append(element("li", {}, swatch, one.name, element("span", { class: "range" }, range)));
    }
    box.append(list);
    return;
  }
  const [low, high] = layer.range;
  const bar = element("div", { class: "bar", "aria-hidden": "true" });
  bar.style.background = `linear-gradient(90deg, ${(low < 0 ? DATA.ramps.signed : DATA.ramps.plain).join(",")})`;
  const text = (value) => String(Number(value.toPrecision(3)));
  const ends = element("div", { class: "ends" });
  for (const value of [low, (low + high) / 2, high]) ends.append(element("span", {}, text(value)));
  box.append(bar, ends);
  if (layer.kind === "flags") {
    box.append(element("p", { class: "note" }, `Flags: ${layer.flags.map(([, meaning]) => meaning).join("; ")}.`));
  }
}

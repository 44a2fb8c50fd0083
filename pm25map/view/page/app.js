// The page itself: its state, its controls, and what follows from each.

const $ = (id) => document.getElementById(id);
const state = { frame: DATA.first, key: DATA.layers[0].key, with: "", split: 0.5, edition: "2024", palette: "epa", picked: null };
const schemeNow = () => DATA.schemes[`${state.edition} ${state.palette}`];
const raster = new Raster();

function problem(text) {
  $("problem").textContent = text;
  $("problem").hidden = false;
}

function startMap() {
  const [[west, south], [east, north]] = DATA.view;
  return new maplibregl.Map({
    container: "map",
    style: {
      version: 8,
      sources: { states: { type: "geojson", data: DATA.states } },
      layers: [
        { id: "water", type: "background", paint: { "background-color": "#eef2f5" } },
        { id: "land", type: "fill", source: "states", paint: { "fill-color": "#d5d8db", "fill-antialias": false } },
        { id: "state-rims", type: "line", source: "states", paint: { "line-color": "#ffffff", "line-width": 2, "line-opacity": 0.35 } },
        { id: "state-lines", type: "line", source: "states", paint: { "line-color": "#22272b", "line-width": 0.8, "line-opacity": 0.75 } },
      ],
    },
    bounds: [[west, south], [east, north]],
    fitBoundsOptions: { padding: 12 },
    maxZoom: 11,
    dragRotate: false,
    pitchWithRotate: false,
    touchPitch: false,
    renderWorldCopies: false,
    attributionControl: false,
    locale: { "Map.Title": "Map of PM2.5. Arrow keys move it, plus and minus zoom, Enter reads the cell in its middle" },
  });
}

// What the right side of a swipe shows: [map, layer].
function rightSide() {
  const [what, name] = state.with.split(/:(.*)/);
  if (what === "layer") return [state.frame, name];
  if (what === "map") return [Number(name), state.key];
  return null;
}

let showing = 0;
async function show() {
  const turn = ++showing;
  const sides = [[state.frame, state.key], rightSide()];
  const codes = await Promise.all(sides.map((side) => side && codesOf(...side)));
  if (turn !== showing) return; // a later choice has overtaken this one
  sides.forEach((side, number) => {
    const has = side && codes[number];
    raster.show(number, side?.[0], has ? codes[number] : null, has ? tableOf(...side, schemeNow()) : null);
  });
  raster.split = sides[1] ? state.split : 1;
  drawSwipe(sides);
  const scheme = schemeNow();
  drawLegend($("legend"), state.key, scheme);
  $("schemes").hidden = layerOf(state.key).kind !== "concentration";
  const map = DATA.maps[state.frame];
  $("subtitle").textContent = map.subtitle;
  nameDay(map.name);
  $("facts").replaceChildren(...[...map.facts, ...DATA.facts].map((text) => element("p", {}, text)));
  await Promise.all([spots.show(state.frame, !state.with.startsWith("map:")), pick(state.picked), area.tell()]);
  document.documentElement.dataset.ready = String(turn);
}

function nameDay(name) {
  $("day-name").textContent = name;
  $("day").value = state.frame;
  $("day").setAttribute("aria-valuetext", name);
  $("previous").disabled = state.frame === 0;
  $("next").disabled = state.frame === DATA.maps.length - 1;
}

function drawSwipe([left, right]) {
  for (const id of ["divider", "swipe-box", "left-name", "right-name"]) $(id).hidden = !right;
  if (!right) return;
  const name = ([frame, key], other) =>
    frame === other[0] ? layerOf(key).label : DATA.maps[frame].name;
  $("left-name").textContent = name(left, right);
  $("right-name").textContent = name(right, left);
  $("divider").style.left = `${100 * state.split}%`;
  $("swipe").value = Math.round(100 * state.split);
  $("swipe").setAttribute("aria-valuetext", `${Math.round(100 * state.split)} % of the map shows ${name(left, right)}`);
}

// Which side of the divider a place on the screen is on: [map, layer].
function sideAt(x) {
  const right = rightSide();
  return right && x > $("map").clientWidth * state.split ? right : [state.frame, state.key];
}

async function pick(place) {
  state.picked = place;
  if (!place) return;
  const [lng, lat] = place;
  mark.setLngLat(place).addTo(map);
  mark.getElement().setAttribute("aria-hidden", "true");
  const side = sideAt(map.project(place).x);
  $("cell-hint").hidden = true;
  $("cell").replaceChildren(...(await describeCell(...side, lng, lat, schemeNow())).childNodes);
  drawHistory($("history"), await historyOf(...side, lng, lat), side[1], schemeNow());
}

async function readOut(event) {
  const { lng, lat } = event.lngLat;
  const [frame, key] = sideAt(event.point.x);
  const value = await valueAt(frame, key, lng, lat);
  const scheme = schemeNow();
  const name = value !== null && layerOf(key).kind === "concentration" ? ` ${classOf(scheme, value).name}` : "";
  $("readout").textContent = `${value === null ? "no value" : withUnit(frame, key, value)}${name} | ${placeText(lng, lat)}`;
}

function fillControls() {
  $("layer").replaceChildren(...DATA.layers.map((layer) => element("option", { value: layer.key }, layer.label)));
  $("layer").value = state.key;
  $("time").hidden = DATA.maps.length < 2;
  $("day").max = DATA.maps.length - 1;
  fillWith();
}

// What can stand on the right side: other layers of this map, and this layer of other maps.
function fillWith() {
  const layers = DATA.layers.filter((layer) => layer.key !== state.key && DATA.maps[state.frame].layers[layer.key]);
  const maps = DATA.maps.map((map, i) => [map, i]).filter(([map, i]) => i !== state.frame && map.layers[state.key]);
  const options = [element("option", { value: "" }, "nothing")];
  options.push(...layers.map((layer) => element("option", { value: `layer:${layer.key}` }, layer.label)));
  options.push(...maps.map(([map, i]) => element("option", { value: `map:${i}` }, map.name)));
  $("with").replaceChildren(...options);
  if (![...$("with").options].some((option) => option.value === state.with)) state.with = "";
  $("with").value = state.with;
  $("with-field").hidden = options.length === 1;
  $("layer-field").hidden = DATA.layers.length === 1;
}

function go(frame) {
  state.frame = Math.max(0, Math.min(DATA.maps.length - 1, frame));
  fillWith();
  return update();
}

// What cannot be had is said, and leaves no other day's picture under its name.
async function update() {
  try {
    await show();
    $("problem").hidden = true;
  } catch (error) {
    [0, 1].forEach((side) => raster.show(side, undefined, null, null));
    spots.clear();
    const { name } = DATA.maps[state.frame];
    nameDay(name);
    problem(`${name || "This map"} cannot be shown: ${error.message}.`);
  }
}

let playing = 0;
function play(on) {
  clearInterval(playing);
  playing = on ? setInterval(() => go((state.frame + 1) % DATA.maps.length), 900) : 0;
  $("play").setAttribute("aria-pressed", String(on));
  $("play").textContent = on ? "Stop" : "Play";
}

function wire() {
  $("day").addEventListener("input", (event) => go(Number(event.target.value)));
  $("previous").addEventListener("click", () => go(state.frame - 1));
  $("next").addEventListener("click", () => go(state.frame + 1));
  $("play").addEventListener("click", () => play(!playing));
  for (const id of ["layer", "with", "edition", "palette"]) {
    $(id).addEventListener("change", (event) => {
      state[id === "layer" ? "key" : id] = event.target.value;
      fillWith();
      update();
    });
  }
  $("swipe").addEventListener("input", (event) => {
    state.split = Number(event.target.value) / 100;
    raster.split = state.split;
    drawSwipe([[state.frame, state.key], rightSide()]);
    map.triggerRepaint();
  });
  map.on("mousemove", readOut);
  map.on("mouseout", () => ($("readout").textContent = ""));
  map.on("click", (event) => area.drawing || pick([event.lngLat.lng, event.lngLat.lat]));
  map.getCanvas().addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || area.drawing) return;
    const { lng, lat } = map.getCenter();
    pick([lng, lat]);
  });
  spots.picked = (lng, lat) => pick([lng, lat]);
}

function addCities() {
  for (const [name, lng, lat, zoom] of DATA.cities) {
    const sign = element("div", { class: "city", "aria-hidden": "true" }, name);
    const place = new maplibregl.Marker({ element: sign, anchor: "left", offset: [-3, 0] }).setLngLat([lng, lat]).addTo(map);
    const made = place.getElement();
    made.removeAttribute("role");
    made.removeAttribute("tabindex");
    made.setAttribute("aria-hidden", "true");
    const fit = () => (made.hidden = map.getZoom() < zoom);
    map.on("zoom", fit);
    fit();
  }
}

let map, spots, area;
const mark = new maplibregl.Marker({ color: "#0b57d0" });

async function start() {
  // The first values are unpacked before the map begins to draw: drawing leaves no time for it.
  await codesOf(state.frame, state.key);
  map = startMap();
  spots = new Spots(map, $("spots"), $("spots-note"));
  map.addControl(new maplibregl.NavigationControl({ showCompass: false }), "top-right");
  map.addControl(new maplibregl.ScaleControl({ unit: "metric" }), "bottom-left");
  fillControls();
  await map.once("style.load");
  map.addLayer(raster, "state-rims");
  spots.addLayers();
  // Its keys come after those of the map: the Enter that closes an area reads no cell.
  wire();
  area = new Area(map);
  area.addLayers();
  await show();
  addCities();
}

start().catch((error) => problem(`This page cannot show its map (${error.message}). It needs a browser with WebGL 2.`));
window.pm25map = { DATA, state, valueAt, cellAt, statisticsOf, go, pick, get area() { return area; }, get map() { return map; } };

// Drawing an area on the map, with the mouse or with keys, and what the cells in it say.

const SAME_VERTEX_PX = 5;

class Area {
  constructor(map) {
    this.map = map;
    this.ring = [];
    this.drawing = false;
    this.pointer = null;
    this.turns = 0;
  }

  addLayers() {
    const empty = { type: "FeatureCollection", features: [] };
    const line = (id, paint) => this.map.addLayer({ id, type: "line", source: "area", layout: { "line-join": "round" }, paint });
    this.map.addSource("area", { type: "geojson", data: empty });
    line("area-rim", { "line-color": "#ffffff", "line-width": 5, "line-opacity": 0.9 });
    line("area", { "line-color": "#0b57d0", "line-width": 2.5 });
    this.map.addLayer({
      id: "area-vertices", type: "circle", source: "area", filter: ["==", ["geometry-type"], "Point"],
      paint: { "circle-radius": 4.5, "circle-color": "#ffffff", "circle-stroke-color": "#0b57d0", "circle-stroke-width": 2 },
    });
    $("draw").addEventListener("click", () => (this.drawing ? this.leave() : this.begin()));
    $("clear").addEventListener("click", () => this.leave());
    this.map.on("click", (event) => this.drawing && this.add(event.lngLat));
    this.map.on("dblclick", (event) => this.drawing && (event.preventDefault(), this.close()));
    this.map.on("mousemove", (event) => this.drawing && ((this.pointer = event.lngLat.toArray()), this.draw()));
    this.map.getCanvas().addEventListener("keydown", (event) => this.drawing && this.key(event));
    document.addEventListener("keydown", (event) => this.drawing && event.key === "Escape" && this.leave());
  }

  begin() {
    this.ring = [];
    this.pointer = null;
    this.mode(true);
    this.say([element("p", {}, "Click the corners of the area; a double click or Enter closes it, Escape leaves.")]);
    this.draw();
    this.map.getCanvas().focus();
  }

  // What was drawn goes away.
  leave() {
    const held = document.activeElement === $("clear");
    this.ring = [];
    this.mode(false);
    this.say([]);
    this.draw();
    if (held) $("draw").focus();
  }

  mode(drawing) {
    this.drawing = drawing;
    this.map.doubleClickZoom[drawing ? "disable" : "enable"]();
    this.map.getCanvas().style.cursor = drawing ? "crosshair" : "";
    $("draw").setAttribute("aria-pressed", String(drawing));
    $("draw").textContent = drawing ? "Stop drawing" : "Draw an area";
    $("clear").hidden = drawing || this.ring.length === 0;
  }

  key(event) {
    const does = { Enter: () => this.close(), " ": () => this.add(this.map.getCenter()), Backspace: () => this.back() }[event.key];
    if (!does) return;
    event.preventDefault();
    does();
  }

  add(place) {
    const last = this.ring.at(-1);
    const here = this.map.project(place);
    // The second click of a double click, and a key that is held, add nothing.
    if (last && here.dist(this.map.project(last)) < SAME_VERTEX_PX) return;
    this.ring.push([place.lng, place.lat]);
    this.say([element("p", {}, `Corner ${this.ring.length} at ${placeText(place.lng, place.lat)}.`)]);
    this.draw();
  }

  back() {
    this.ring.pop();
    this.say([element("p", {}, `${this.ring.length} corners are left.`)]);
    this.draw();
  }

  close() {
    const fault = faultOf(this.ring);
    if (fault) return this.say([element("p", { class: "fault" }, fault)]);
    this.mode(false);
    this.draw();
    return this.tell();
  }

  // The statistics of the closed area on the shown day and layer.
  async tell() {
    if (this.drawing || this.ring.length < 3) return;
    const mine = ++this.turns;
    const { frame, key } = state;
    if (layerOf(key).kind === "flags") {
      return this.say([element("p", { class: "fault" }, "Flags have no mean: choose another layer.")]);
    }
    const found = await statisticsOf(frame, key, this.ring);
    if (mine !== this.turns) return; // the area, or what is shown, has changed meanwhile
    if (!found) {
      const why = "The area holds no value of this map: it lies outside of the map, or over water.";
      return this.say([element("p", { class: "fault" }, why)]);
    }
    const table = element("table");
    const row = (name, text) => table.append(element("tr", {}, element("th", { scope: "row" }, name), element("td", {}, text)));
    for (const name of ["mean", "median", "minimum", "maximum"]) row(name[0].toUpperCase() + name.slice(1), withUnit(frame, key, found[name]));
    row("Cells", found.cells.toLocaleString("en"));
    row("Area", `${Math.round(found.area).toLocaleString("en")} km²`);
    this.say([element("p", { class: "note" }, `${layerOf(key).label}, ${DATA.maps[frame].name}; mean and median are weighted by area`), table]);
  }

  say(parts) {
    this.turns++;
    $("area").replaceChildren(...parts);
  }

  draw() {
    const shape = (type, coordinates) => ({ type: "Feature", properties: {}, geometry: { type, coordinates } });
    const open = this.drawing && this.pointer ? [...this.ring, this.pointer] : this.ring;
    const features = open.length > 1 ? [shape("LineString", dense(open, this.drawing))] : [];
    features.push(...(this.drawing ? this.ring : []).map((place) => shape("Point", place)));
    this.map.getSource("area").setData({ type: "FeatureCollection", features });
  }
}

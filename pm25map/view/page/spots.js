// Hot spots of the shown map: a list whose buttons fly to the place, and outlines with numbers on the map.

class Spots {
  constructor(map, list, note) {
    this.map = map;
    this.list = list;
    this.note = note;
    this.marks = [];
  }

  addLayers() {
    this.map.addSource("spots", { type: "geojson", data: { type: "FeatureCollection", features: [] } });
    this.map.addLayer({ id: "spots-rim", type: "line", source: "spots", paint: { "line-color": "#ffffff", "line-width": 3.2, "line-opacity": 0.8 } });
    this.map.addLayer({ id: "spots", type: "line", source: "spots", paint: { "line-color": "#12161a", "line-width": 1.5 } });
  }

  // Where two days are swiped their outlines would lie on the wrong day: then only the list is shown.
  async show(frame, onMap) {
    const map = DATA.maps[frame];
    if (map.spots_href) {
      const answer = await fetch(map.spots_href);
      if (!answer.ok) throw new Error(`the server answers ${answer.status} for ${map.spots_href}`);
      map.spots = await answer.json();
      delete map.spots_href;
    }
    const all = map.spots ?? [];
    this.mark(onMap ? all : []);
    this.note.textContent = all.length
      ? "Regions well above the air around them. Choose one to fly there."
      : "No region of this map stands out from the air around it.";
    this.list.replaceChildren(...all.map((spot, i) => this.entry(spot, i)));
  }

  clear() {
    this.mark([]);
    this.note.textContent = "";
    this.list.replaceChildren();
  }

  mark(found) {
    this.map.getSource("spots").setData({
      type: "FeatureCollection",
      features: found.map((spot) => ({ type: "Feature", properties: {}, geometry: spot.outline })),
    });
    this.marks.forEach((mark) => mark.remove());
    this.marks = found.map((spot, i) => {
      const sign = element("div", { class: "spot-mark", "aria-hidden": "true" }, String(i + 1));
      return new maplibregl.Marker({ element: sign }).setLngLat(spot.peak).addTo(this.map);
    });
    // Markers are for the eye; the list says the same to everybody.
    for (const mark of this.marks) {
      mark.getElement().removeAttribute("role");
      mark.getElement().removeAttribute("tabindex");
      mark.getElement().setAttribute("aria-hidden", "true");
    }
  }

  entry(spot, i) {
    const words = element("span", {}, element("strong", {}, spot.name), element("small", {}, spot.words));
    const button = element("button", { type: "button" }, element("span", { class: "number", "aria-hidden": "true" }, String(i + 1)), words);
    button.addEventListener("click", () => this.fly(spot));
    return element("li", {}, button);
  }

  fly(spot) {
    const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
    this.map.fitBounds(spot.box, { padding: 60, maxZoom: 8, animate: !still, duration: 900 });
    this.picked?.(...spot.peak);
  }
}

// Which cells a polygon holds, and what they say: the same cells and the same sums as the server's /statistics.

// Edges of a ring [[lng, lat], ...], each as a pair; the last one closes it.
const edgesOf = (ring) => ring.map((from, i) => [from, ring[(i + 1) % ring.length]]);

const turn = ([ax, ay], [bx, by], [cx, cy]) => Math.sign((bx - ax) * (cy - ay) - (by - ay) * (cx - ax));

function meet([a, b], [c, d]) {
  const on = (p, q, r) => turn(p, q, r) === 0 && Math.min(p[0], q[0]) <= r[0] && r[0] <= Math.max(p[0], q[0])
    && Math.min(p[1], q[1]) <= r[1] && r[1] <= Math.max(p[1], q[1]);
  if (on(a, b, c) || on(a, b, d) || on(c, d, a) || on(c, d, b)) return true;
  return turn(a, b, c) !== turn(a, b, d) && turn(c, d, a) !== turn(c, d, b);
}

// Why a ring is no polygon, in words; "" where it is one.
function faultOf(ring) {
  if (ring.length < 3) return `An area needs three vertices or more; this one has ${ring.length}.`;
  const edges = edgesOf(ring), last = edges.length - 1;
  for (let i = 0; i <= last; i++) {
    const [from, to] = edges[i], after = edges[(i + 1) % edges.length][1];
    const back = turn(from, to, after) === 0 && (from[0] - to[0]) * (after[0] - to[0]) + (from[1] - to[1]) * (after[1] - to[1]) > 0;
    if (back) return "Two edges of the area lie on each other: draw it again.";
    for (let j = i + 2; j <= last; j++) {
      if (!(i === 0 && j === last) && meet(edges[i], edges[j])) return "The edges of the area cross each other: draw it again.";
    }
  }
  return "";
}

// What of a ring lies in a box of degrees [west, south, east, north], one side after the other.
function clipped(ring, [west, south, east, north]) {
  for (const [axis, sign, limit] of [[0, 1, west], [1, 1, south], [0, -1, east], [1, -1, north]]) {
    const depth = (p) => sign * (p[axis] - limit);
    ring = edgesOf(ring).flatMap(([a, b]) => {
      const [from, to] = [depth(a), depth(b)];
      const kept = from >= 0 ? [a] : [];
      if (from >= 0 === to >= 0) return kept;
      const t = from / (from - to);
      const cut = [a[0] + t * (b[0] - a[0]), a[1] + t * (b[1] - a[1])];
      cut[axis] = limit;
      return [...kept, cut];
    });
  }
  return ring;
}

// An edge is straight in degrees, and bent on map and screen: many short parts show it so. The last place is the
// first one again, or, where the ring is still open, its last.
function dense(ring, open = false) {
  const span = (axis) => Math.max(...ring.map((p) => p[axis])) - Math.min(...ring.map((p) => p[axis]));
  const step = Math.max(span(0), span(1)) / 200 || 1;
  const edges = open ? edgesOf(ring).slice(0, -1) : edgesOf(ring);
  const parts = edges.flatMap(([[ax, ay], [bx, by]]) => {
    const count = Math.max(1, Math.ceil(Math.hypot(bx - ax, by - ay) / step));
    return Array.from({ length: count }, (_, i) => [ax + (i / count) * (bx - ax), ay + (i / count) * (by - ay)]);
  });
  return [...parts, open ? ring.at(-1) : ring[0]];
}

// A ring as columns and rows of a grid; empty where it lies off the grid's net.
function ringOnGrid(ring, grid) {
  const [west, north, east, south] = grid.box;
  const lat = (my) => (Math.atan(Math.sinh(Math.PI * (1 - 2 * my))) * 180) / Math.PI;
  const within = 1e-9; // so that rounding puts no vertex off the net
  const box = [360 * west - 180 + within, lat(south) + within, 360 * east - 180 - within, lat(north) - within];
  const part = clipped(ring, box);
  return part.length ? dense(part).map(([lng, at]) => onGrid(grid, lng, at)).filter(Boolean) : [];
}

// Cells whose centre lies within a ring on the grid, row by row.
function centresIn(places, [rows, cols]) {
  const found = [], edges = edgesOf(places);
  for (let row = 0; row < rows; row++) {
    const y = row + 0.5;
    const crossings = edges.filter(([a, b]) => a[1] > y !== b[1] > y)
      .map(([a, b]) => a[0] + ((y - a[1]) / (b[1] - a[1])) * (b[0] - a[0])).sort((a, b) => a - b);
    for (let i = 0; i + 1 < crossings.length; i += 2) {
      const end = Math.min(cols, Math.ceil(crossings[i + 1] - 0.5));
      for (let col = Math.max(0, Math.ceil(crossings[i] - 0.5)); col < end; col++) found.push(row * cols + col);
    }
  }
  return found;
}

// Cells that the rim of a ring touches.
function touchedBy(places, [rows, cols]) {
  const found = new Set();
  for (const [a, b] of edgesOf(places)) {
    const cuts = [0, 1];
    for (const axis of [0, 1]) {
      const [low, high] = [Math.min(a[axis], b[axis]), Math.max(a[axis], b[axis])];
      for (let line = Math.ceil(low); line < high; line++) cuts.push((line - a[axis]) / (b[axis] - a[axis]));
    }
    cuts.sort((s, t) => s - t);
    for (let i = 0; i + 1 < cuts.length; i++) {
      const t = (cuts[i] + cuts[i + 1]) / 2;
      const col = Math.floor(a[0] + t * (b[0] - a[0])), row = Math.floor(a[1] + t * (b[1] - a[1]));
      if (col >= 0 && row >= 0 && col < cols && row < rows) found.add(row * cols + col);
    }
  }
  return [...found];
}

// The area of a cell, km2: linear between those that the page holds.
function areaOf(grid, row, col) {
  const [rows, cols] = [grid.areas.length, grid.areas[0].length];
  const y = (row / Math.max(1, grid.shape[0] - 1)) * (rows - 1), x = (col / Math.max(1, grid.shape[1] - 1)) * (cols - 1);
  const [r, c] = [Math.min(Math.floor(y), Math.max(0, rows - 2)), Math.min(Math.floor(x), Math.max(0, cols - 2))];
  const along = (line) => line[c] + (x - c) * ((line[c + 1] ?? line[c]) - line[c]);
  const first = along(grid.areas[r]);
  return first + (y - r) * (along(grid.areas[r + 1] ?? grid.areas[r]) - first);
}

// The least value at or below which a share of the weight lies, of values in order: the server's definition.
function quantile(ordered, weights, share) {
  const wanted = share * weights.reduce((sum, one) => sum + one, 0);
  let sum = 0;
  const i = weights.findIndex((weight) => (sum += weight) >= wanted);
  return i < 0 ? ordered.at(-1) : ordered[i];
}

// The values in a polygon: {cells, area, mean, median, minimum, maximum}, km2 and the layer's unit; null where none.
// Cells count whose centre lies inside; of a smaller polygon those that it touches.
async function statisticsOf(frame, key, ring) {
  const codes = await codesOf(frame, key);
  const grid = DATA.grids[DATA.maps[frame].grid];
  const places = codes ? ringOnGrid(ring, grid) : [];
  const known = (cells) => cells.filter((index) => codes[index] !== MISSING);
  let cells = places.length ? known(centresIn(places, grid.shape)) : [];
  if (!cells.length && places.length) cells = known(touchedBy(places, grid.shape));
  if (!cells.length) return null;
  const areas = cells.map((index) => areaOf(grid, Math.floor(index / grid.shape[1]), index % grid.shape[1]));
  const values = cells.map((index) => valueOf(frame, key, codes[index]));
  const area = areas.reduce((sum, one) => sum + one, 0);
  const order = values.map((_, i) => i).sort((i, j) => values[i] - values[j]);
  return {
    cells: cells.length,
    area,
    mean: values.reduce((sum, value, i) => sum + value * areas[i], 0) / area,
    median: quantile(order.map((i) => values[i]), order.map((i) => areas[i]), 0.5),
    minimum: values[order[0]],
    maximum: values[order.at(-1)],
  };
}

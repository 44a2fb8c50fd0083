// What the page holds: maps, their layers in codes, and the way from a place on the earth to a cell.

const DATA = JSON.parse(document.getElementById("pm25map-data").textContent);
const MISSING = 65535;

function bytesOf(text) {
  const binary = atob(text);
  const bytes = new Uint8Array(binary.length);
  for (let i = 0; i < binary.length; i++) bytes[i] = binary.charCodeAt(i);
  return bytes;
}

// Each net once: knots of the Mercator square with their column and row on the grid.
for (const grid of DATA.grids) grid.net = new Float32Array(bytesOf(grid.places).buffer);

async function inflate(bytes) {
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate-raw"));
  const planes = new Uint8Array(await new Response(stream).arrayBuffer());
  const count = planes.length / 2;
  const codes = new Uint16Array(count);
  for (let i = 0, last = 0; i < count; i++) {
    last = (last + planes[i] + 256 * planes[count + i]) & 65535;
    codes[i] = last;
  }
  return codes;
}

// The codes of one layer of one map; null where the map lacks it. Decoded at first use and kept.
const decoded = new Map();
function codesOf(frame, key) {
  const packed = DATA.maps[frame].layers[key];
  if (!packed) return Promise.resolve(null);
  const name = `${frame} ${key}`;
  if (!decoded.has(name)) {
    const bytes = packed.href
      ? fetch(packed.href).then((answer) => {
          if (!answer.ok) throw new Error(`the server answers ${answer.status} for ${packed.href}`);
          return answer.arrayBuffer();
        }).then((buffer) => new Uint8Array(buffer))
      : Promise.resolve(bytesOf(packed.data));
    // A failure is not kept: the server may be back.
    decoded.set(name, bytes.then(inflate).catch((error) => {
      decoded.delete(name);
      throw error;
    }));
  }
  return decoded.get(name);
}

function mercator(lng, lat) {
  const sine = Math.sin((lat * Math.PI) / 180);
  return [(lng + 180) / 360, 0.5 - Math.log((1 + sine) / (1 - sine)) / (4 * Math.PI)];
}

// Column and row of a place on a map's grid, at cell corners; null off its net.
function onGrid(grid, lng, lat) {
  const [west, north, east, south] = grid.box;
  const [rows, cols] = grid.knots;
  const [mx, my] = mercator(lng, lat);
  const x = ((mx - west) / (east - west)) * (cols - 1);
  const y = ((my - north) / (south - north)) * (rows - 1);
  if (!(x >= 0 && y >= 0 && x <= cols - 1 && y <= rows - 1)) return null;
  const c = Math.min(Math.floor(x), cols - 2), r = Math.min(Math.floor(y), rows - 2);
  const u = x - c, v = y - r;
  const at = (axis) => {
    const n = grid.net, k = 2 * (r * cols + c) + axis, below = k + 2 * cols;
    return (1 - v) * ((1 - u) * n[k] + u * n[k + 2]) + v * ((1 - u) * n[below] + u * n[below + 2]);
  };
  return [at(0), at(1)];
}

// The cell of a map that holds a place: {row, col, index}, or null off the map.
function cellAt(frame, lng, lat) {
  const grid = DATA.grids[DATA.maps[frame].grid];
  const found = onGrid(grid, lng, lat);
  if (!found) return null;
  const [col, row] = found.map(Math.floor);
  if (col < 0 || row < 0 || row >= grid.shape[0] || col >= grid.shape[1]) return null;
  return { row, col, index: row * grid.shape[1] + col };
}

// A value in its unit; null where the cell has none.
async function valueAt(frame, key, lng, lat) {
  const cell = cellAt(frame, lng, lat);
  const codes = cell && (await codesOf(frame, key));
  if (!codes || codes[cell.index] === MISSING) return null;
  return valueOf(frame, key, codes[cell.index]);
}

function valueOf(frame, key, code) {
  const { step, offset } = DATA.maps[frame].layers[key];
  return offset + step * code;
}

const layerOf = (key) => DATA.layers.find((layer) => layer.key === key);

function unitText(unit) {
  return unit.replace(/^ug[ /.]?m\^?-?3$/, "µg/m³");
}

// As many digits as the step of the layer has; more would be invented.
function numberText(frame, key, value) {
  const digits = Math.max(0, Math.min(6, -Math.floor(Math.log10(DATA.maps[frame].layers[key].step) + 1e-9)));
  return value.toFixed(digits);
}

function withUnit(frame, key, value) {
  const layer = layerOf(key);
  if (layer.kind === "flags") {
    const raised = layer.flags.filter(([bit]) => value & bit).map(([, meaning]) => meaning);
    return raised.length ? raised.join(", ") : "none raised";
  }
  return `${numberText(frame, key, value)} ${unitText(layer.unit)}`.trim();
}

function placeText(lng, lat) {
  const north = `${Math.abs(lat).toFixed(2)} ${lat >= 0 ? "N" : "S"}`;
  return `${north}, ${Math.abs(lng).toFixed(2)} ${lng < 0 ? "W" : "E"}`;
}

// Draws maps on the graphics card: each cell with its own edges, at any zoom, and two side by side.

const VERTEX = `#version 300 es
in vec2 place; in vec2 cell; uniform mat4 matrix; out highp vec2 where;
void main() { where = cell; gl_Position = matrix * vec4(place, 0.0, 1.0); }`;

const FRAGMENT = `#version 300 es
precision highp float; precision highp int; precision highp usampler2D;
in highp vec2 where; uniform usampler2D codes; uniform sampler2D colours; uniform ivec2 shape; out vec4 colour;
void main() {
  ivec2 cell = ivec2(floor(where));
  if (cell.x < 0 || cell.y < 0 || cell.x >= shape.x || cell.y >= shape.y) discard;
  uint code = texelFetch(codes, cell, 0).r;
  if (code == 65535u) discard;
  colour = texelFetch(colours, ivec2(int(code & 255u), int(code >> 8u)), 0);
}`;

class Raster {
  constructor() {
    this.id = "raster";
    this.type = "custom";
    this.renderingMode = "2d";
    this.sides = [null, null];
    this.waiting = [null, null];
    this.textures = [null, null];
    this.split = 1; // share of the width that shows the left side
  }

  onAdd(map, gl) {
    this.map = map;
    this.gl = gl;
    const program = gl.createProgram();
    for (const [kind, source] of [[gl.VERTEX_SHADER, VERTEX], [gl.FRAGMENT_SHADER, FRAGMENT]]) {
      const shader = gl.createShader(kind);
      gl.shaderSource(shader, source);
      gl.compileShader(shader);
      gl.attachShader(program, shader);
    }
    gl.linkProgram(program);
    if (!gl.getProgramParameter(program, gl.LINK_STATUS)) throw new Error(gl.getProgramInfoLog(program));
    this.program = program;
    this.nets = DATA.grids.map((grid) => this.netOf(grid));
  }

  netOf(grid) {
    const { gl } = this;
    const [west, north, east, south] = grid.box;
    const [rows, cols] = grid.knots;
    const origin = [(west + east) / 2, (north + south) / 2];
    const vertices = new Float32Array(rows * cols * 4);
    const triangles = new Uint32Array((rows - 1) * (cols - 1) * 6);
    for (let r = 0, t = 0; r < rows; r++) {
      for (let c = 0; c < cols; c++) {
        const k = r * cols + c;
        // Places are held relative to the middle of the map: single precision is enough there.
        vertices[4 * k] = west + ((east - west) * c) / (cols - 1) - origin[0];
        vertices[4 * k + 1] = north + ((south - north) * r) / (rows - 1) - origin[1];
        vertices[4 * k + 2] = grid.net[2 * k];
        vertices[4 * k + 3] = grid.net[2 * k + 1];
        if (r < rows - 1 && c < cols - 1) {
          triangles.set([k, k + 1, k + cols, k + 1, k + cols + 1, k + cols], t);
          t += 6;
        }
      }
    }
    const array = gl.createVertexArray();
    gl.bindVertexArray(array);
    gl.bindBuffer(gl.ARRAY_BUFFER, gl.createBuffer());
    gl.bufferData(gl.ARRAY_BUFFER, vertices, gl.STATIC_DRAW);
    gl.bindBuffer(gl.ELEMENT_ARRAY_BUFFER, gl.createBuffer());
    gl.bufferData(gl.ELEMENT_ARRAY_BUFFER, triangles, gl.STATIC_DRAW);
    for (const [name, offset] of [["place", 0], ["cell", 8]]) {
      const location = gl.getAttribLocation(this.program, name);
      gl.enableVertexAttribArray(location);
      gl.vertexAttribPointer(location, 2, gl.FLOAT, false, 16, offset);
    }
    gl.bindVertexArray(null);
    return { array, origin, count: triangles.length, shape: grid.shape };
  }

  // What one side shows: codes and colours of a layer of a map, or nothing where codes is null.
  show(side, frame, codes, table) {
    this.waiting[side] = { frame, codes, table };
    this.map.triggerRepaint();
  }

  // Textures are filled while drawing, when the state of the card is ours.
  upload(side, { frame, codes, table }) {
    const { gl } = this;
    if (!codes) {
      this.sides[side] = null;
      return;
    }
    const grid = DATA.maps[frame].grid;
    const [rows, cols] = DATA.grids[grid].shape;
    const made = this.textures[side] ??= { codes: this.texture(), colours: this.texture() };
    gl.pixelStorei(gl.UNPACK_ALIGNMENT, 1);
    gl.pixelStorei(gl.UNPACK_FLIP_Y_WEBGL, false);
    gl.pixelStorei(gl.UNPACK_PREMULTIPLY_ALPHA_WEBGL, false);
    gl.bindTexture(gl.TEXTURE_2D, made.codes);
    gl.texImage2D(gl.TEXTURE_2D, 0, gl.R16UI, cols, rows, 0, gl.RED_INTEGER, gl.UNSIGNED_SHORT, codes);
    gl.bindTexture(gl.TEXTURE_2D, made.colours);
    gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA, 256, 256, 0, gl.RGBA, gl.UNSIGNED_BYTE, table);
    this.sides[side] = { ...made, grid };
  }

  texture() {
    const { gl } = this;
    const made = gl.createTexture();
    gl.bindTexture(gl.TEXTURE_2D, made);
    for (const name of [gl.TEXTURE_MIN_FILTER, gl.TEXTURE_MAG_FILTER]) gl.texParameteri(gl.TEXTURE_2D, name, gl.NEAREST);
    for (const name of [gl.TEXTURE_WRAP_S, gl.TEXTURE_WRAP_T]) gl.texParameteri(gl.TEXTURE_2D, name, gl.CLAMP_TO_EDGE);
    return made;
  }

  render(gl, frame) {
    const matrix = Float64Array.from(frame.defaultProjectionData.mainMatrix);
    const { width, height } = gl.canvas;
    const middle = Math.round(width * this.split);
    this.waiting.forEach((what, side) => what && this.upload(side, what));
    this.waiting = [null, null];
    gl.useProgram(this.program);
    gl.disable(gl.DEPTH_TEST);
    gl.disable(gl.STENCIL_TEST);
    gl.disable(gl.CULL_FACE);
    gl.enable(gl.SCISSOR_TEST);
    this.sides.forEach((side, number) => {
      const [left, right] = number ? [middle, width] : [0, middle];
      if (!side || right <= left) return;
      gl.scissor(left, 0, right - left, height);
      this.draw(side, matrix);
    });
    gl.disable(gl.SCISSOR_TEST);
    gl.bindVertexArray(null);
  }

  draw(side, matrix) {
    const { gl } = this;
    const net = this.nets[side.grid];
    const [x, y] = net.origin;
    const moved = Float32Array.from(matrix);
    for (let i = 0; i < 4; i++) moved[12 + i] = matrix[i] * x + matrix[4 + i] * y + matrix[12 + i];
    const uniform = (name) => gl.getUniformLocation(this.program, name);
    gl.uniformMatrix4fv(uniform("matrix"), false, moved);
    gl.uniform2i(uniform("shape"), net.shape[1], net.shape[0]);
    gl.activeTexture(gl.TEXTURE0);
    gl.bindTexture(gl.TEXTURE_2D, side.codes);
    gl.uniform1i(uniform("codes"), 0);
    gl.activeTexture(gl.TEXTURE1);
    gl.bindTexture(gl.TEXTURE_2D, side.colours);
    gl.uniform1i(uniform("colours"), 1);
    gl.activeTexture(gl.TEXTURE0);
    gl.bindVertexArray(net.array);
    gl.drawElements(gl.TRIANGLES, net.count, gl.UNSIGNED_INT, 0);
  }
}

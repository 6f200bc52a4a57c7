// Draws points: by WebGL, and where a browser has none, or only imitates it (a machine without a graphics card), pixel by
// pixel, which does for some hundred thousand points as well.

import { SIDE } from "./plane.js";

const VERTEX = `#version 300 es
in vec2 place;
in vec4 colour;
uniform vec2 scale, shift;
uniform float size;
out vec4 tint;
void main() {
  gl_Position = vec4(place * scale + shift, 0.0, 1.0);
  gl_PointSize = size;
  tint = colour;
}`;
const FRAGMENT = `#version 300 es
precision mediump float;
in vec4 tint;
out vec4 seen;
void main() {
  vec2 from = gl_PointCoord * 2.0 - 1.0;
  if (dot(from, from) > 1.0) discard;
  seen = vec4(tint.rgb * tint.a, tint.a);
}`;

class WebGL {
  constructor(gl) {
    this.name = "webgl";
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
    gl.useProgram(program);
    gl.enable(gl.BLEND);
    gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA);
    this.at = Object.fromEntries(["scale", "shift", "size"].map((name) => [name, gl.getUniformLocation(program, name)]));
    const attribute = (name, size, kind) => {
      const buffer = gl.createBuffer(), where = gl.getAttribLocation(program, name);
      gl.bindBuffer(gl.ARRAY_BUFFER, buffer);
      gl.enableVertexAttribArray(where);
      gl.vertexAttribPointer(where, size, kind, true, 0, 0);
      return buffer;
    };
    this.placeBuffer = attribute("place", 2, gl.UNSIGNED_SHORT);
    this.colourBuffer = attribute("colour", 4, gl.UNSIGNED_BYTE);
    this.orderBuffer = gl.createBuffer();
    gl.bindBuffer(gl.ELEMENT_ARRAY_BUFFER, this.orderBuffer);
  }

  places(places) { this.fill(this.gl.ARRAY_BUFFER, this.placeBuffer, places); }

  colours(colours, order) {
    this.fill(this.gl.ARRAY_BUFFER, this.colourBuffer, colours);
    this.fill(this.gl.ELEMENT_ARRAY_BUFFER, this.orderBuffer, order);
    this.count = order.length;
  }

  fill(target, buffer, values) {
    this.gl.bindBuffer(target, buffer);
    this.gl.bufferData(target, values, this.gl.STATIC_DRAW);
  }

  draw(view, size, ratio) {
    const { gl } = this;
    gl.viewport(0, 0, gl.drawingBufferWidth, gl.drawingBufferHeight);
    gl.clearColor(0, 0, 0, 0);
    gl.clear(gl.COLOR_BUFFER_BIT);
    const x = (2 * view.pixels) / view.width, y = (2 * view.pixels) / view.height;
    gl.uniform2f(this.at.scale, x, y);
    gl.uniform2f(this.at.shift, -view.x * x, -view.y * y);
    gl.uniform1f(this.at.size, size * ratio);
    gl.drawElements(gl.POINTS, this.count, gl.UNSIGNED_INT, 0);
  }
}

class Plain {
  constructor(canvas) {
    this.name = "plain";
    this.canvas = canvas;
    this.context = canvas.getContext("2d");
  }

  places(places) { this.xy = places; }

  colours(colours, order) {
    this.rgba = colours;
    this.words = new Uint32Array(colours.buffer);
    this.order = order;
  }

  draw(view, size, ratio) {
    const { width, height } = this.canvas;
    if (this.image?.width !== width || this.image?.height !== height) this.image = this.context.createImageData(width, height);
    const pixels = new Uint32Array(this.image.data.buffer);
    pixels.fill(0);
    const side = Math.max(1, Math.round(size * ratio * 0.9)), half = side >> 1;
    const scale = (view.pixels * ratio) / SIDE;
    const left = width / 2 - view.x * view.pixels * ratio, bottom = height / 2 + view.y * view.pixels * ratio;
    for (const k of this.order) {
      const x = Math.round(this.xy[2 * k] * scale + left) - half, y = Math.round(bottom - this.xy[2 * k + 1] * scale) - half;
      if (x < 0 || y < 0 || x + side > width || y + side > height) continue;
      const word = this.words[k];
      for (let row = y; row < y + side; row++) pixels.fill(word, row * width + x, row * width + x + side);
    }
    this.context.putImageData(this.image, 0, 0);
  }
}

// What draws on this canvas: `places(xy)`, `colours(rgba, order)` (points later in the order are above), `draw(view, size, ratio)`.
export function painterOf(canvas) {
  const gl = canvas.getContext("webgl2", { antialias: false, failIfMajorPerformanceCaveat: true });
  return gl ? new WebGL(gl) : new Plain(canvas);
}

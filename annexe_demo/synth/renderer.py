"""A deferred renderer on moderngl: radiance, mask ids and depth of a scene, without a screen or a GPU.

Passes: geometry buffer, shadow maps of two lights, screen-space ambient occlusion with a blur that respects edges,
lighting. Runs on Mesa's llvmpipe through EGL, one process on one core.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass

os.environ.setdefault("LP_NUM_THREADS", "0")  # llvmpipe then draws in the calling thread; must precede the context

import cv2  # noqa: E402
import moderngl  # noqa: E402
import numpy as np  # noqa: E402

from annexe_demo.synth.camera import Camera, look_at, orthographic, perspective  # noqa: E402
from annexe_demo.synth.meshes import Part  # noqa: E402

SHARED_TEXTURE_SIZE = 512  # textures of this size come from the bank and stay on the device between scenes
MAX_CACHED_TEXTURES = 512
MAX_MASK_ID = 255


class NoDisplayError(RuntimeError):
    """No EGL device to render on."""


@dataclass(frozen=True)
class Light:
    """A spot or a sun.

    Attributes:
        position: (3,) of a spot; of a sun any point in its direction.
        target: (3,) that a spot points at.
        color: (3,) linear radiant intensity.
        size: of the emitter, which softens its shadows.
        directional: a sun, whose light falls everywhere from the same direction.
        gobo: cast the scene's window-bar pattern.
        spot_cosine: cosine of the angle at which a spot fades out.
    """

    position: np.ndarray
    target: np.ndarray
    color: np.ndarray
    size: float
    directional: bool = False
    gobo: bool = False
    spot_cosine: float = 0.2

    @property
    def direction(self) -> np.ndarray:
        """(3,) unit vector in which the light travels."""
        travel = -self.position if self.directional else self.target - self.position
        return travel / np.linalg.norm(travel)

    def view_projection(self, center: np.ndarray) -> np.ndarray:
        """(4, 4) world to the light's shadow map around the scene's centre."""
        if self.directional:
            return orthographic(1.3, 0.1, 6) @ look_at(center - self.direction * 3, center)
        return perspective(1.5, 1, 0.3, 6) @ look_at(self.position, self.target)


@dataclass(frozen=True)
class Environment:
    """Light that comes from everywhere. All colours linear, (3,).

    Attributes:
        sky, ground: ambient light from above and below.
        bounce: light that the surface throws up at what is close above it.
        wall: what is seen where there is no geometry.
        rotation: (3, 3) turns the window that shines in reflections.
        window: colour of that window.
        gobo: pattern (0 none, 1 blinds, 2 window bars), frequency and two offsets of the bars' shadow.
        surface_height: z of the table or floor that throws the bounce, metres.
    """

    sky: np.ndarray
    ground: np.ndarray
    bounce: np.ndarray
    wall: np.ndarray
    rotation: np.ndarray
    window: np.ndarray
    gobo: tuple[float, float, float, float] = (0.0, 1.0, 0.0, 0.0)
    surface_height: float = 0.0


@dataclass(frozen=True)
class Rendering:
    """What the renderer sees: radiance (H, W, 3) float32, ids (H, W) uint8, depth (H, W) float32 in metres, 0 = none."""

    radiance: np.ndarray
    ids: np.ndarray
    depth: np.ndarray


_GEOMETRY_VERTEX = """#version 330
in vec3 position; in vec3 normal; in vec2 uv; in vec3 color;
uniform mat4 view_projection; uniform mat4 view;
out vec3 world_position; out vec3 world_normal; out vec2 texture_uv; out vec3 vertex_color; out float view_depth;
void main() {
    world_position = position;
    world_normal = normal;
    texture_uv = uv;
    vertex_color = color;
    view_depth = -(view * vec4(position, 1)).z;
    gl_Position = view_projection * vec4(position, 1);
}"""

_GEOMETRY_FRAGMENT = """#version 330
in vec3 world_position; in vec3 world_normal; in vec2 texture_uv; in vec3 vertex_color; in float view_depth;
uniform sampler2D albedo_map;
uniform vec3 base_color; uniform vec3 eye;
uniform float roughness, metalness, skin, bump, bump_frequency, mask_id;
uniform vec2 noise;  // amplitude, frequency
layout(location=0) out vec4 albedo_roughness;
layout(location=1) out vec4 normal_material;
layout(location=2) out vec4 position_id;

float hash(vec3 p) { p = fract(p * 0.3183099 + .1); p *= 17.; return fract(p.x * p.y * p.z * (p.x + p.y + p.z)); }
float value_noise(vec3 x) {
    vec3 i = floor(x), f = fract(x);
    f = f * f * (3. - 2. * f);
    return mix(mix(mix(hash(i), hash(i + vec3(1,0,0)), f.x), mix(hash(i + vec3(0,1,0)), hash(i + vec3(1,1,0)), f.x), f.y),
               mix(mix(hash(i + vec3(0,0,1)), hash(i + vec3(1,0,1)), f.x),
                   mix(hash(i + vec3(0,1,1)), hash(i + vec3(1,1,1)), f.x), f.y), f.z);
}
float fractal_noise(vec3 x) {
    return .5 * value_noise(x) + .3 * value_noise(x * 2.1 + 3.1) + .2 * value_noise(x * 4.3 + 7.7);
}
void main() {
    vec3 n = dot(world_normal, world_normal) > 1e-12 ? normalize(world_normal) : vec3(0, 0, 1);
    if (dot(n, eye - world_position) < 0.) n = -n;  // open surfaces are lit on both sides
    vec3 albedo = base_color * vertex_color * pow(texture(albedo_map, texture_uv).rgb, vec3(2.2));
    if (noise.x > 0.) albedo *= 1. + noise.x * (2. * fractal_noise(world_position * noise.y) - 1.);
    if (bump > 0.) {
        vec3 p = world_position * bump_frequency;
        vec3 gradient = vec3(value_noise(p + vec3(.4,0,0)), value_noise(p + vec3(0,.4,0)), value_noise(p + vec3(0,0,.4)));
        n = normalize(n - bump * (gradient - value_noise(p)));
    }
    albedo_roughness = vec4(albedo, roughness);
    normal_material = vec4(n, metalness + 2. * skin);
    position_id = vec4(world_position, mask_id + min(view_depth, 63.) / 64.);  // id and depth share one channel
}"""

_SHADOW_VERTEX = """#version 330
in vec3 position; uniform mat4 view_projection;
void main() { gl_Position = view_projection * vec4(position, 1); }"""
_SHADOW_FRAGMENT = "#version 330\nvoid main() {}"

_SCREEN_VERTEX = """#version 330
in vec2 corner; out vec2 screen;
void main() { screen = corner * .5 + .5; gl_Position = vec4(corner, 0, 1); }"""

_OCCLUSION_FRAGMENT = """#version 330
in vec2 screen; out float visibility;
uniform sampler2D normals, positions; uniform mat4 view_projection; uniform vec3 eye; uniform float radius;
float screen_hash(vec2 p) { return fract(52.9829189 * fract(dot(p, vec2(.06711056, .00583715)))); }
void main() {
    vec3 p = texture(positions, screen).xyz;
    vec3 n = texture(normals, screen).xyz;
    if (dot(n, n) < .1) { visibility = 1.; return; }
    float phase = screen_hash(gl_FragCoord.xy) * 6.2832;
    vec3 tangent = normalize(abs(n.z) < .9 ? cross(n, vec3(0,0,1)) : cross(n, vec3(1,0,0)));
    vec3 bitangent = cross(n, tangent);
    float occlusion = 0.;
    const int SAMPLES = 14;
    for (int i = 0; i < SAMPLES; i++) {
        float u = (float(i) + .5) / float(SAMPLES);
        float angle = phase + float(i) * 2.39996;
        vec3 direction = (tangent * cos(angle) + bitangent * sin(angle)) * sqrt(u) + n * sqrt(1. - u * .96);
        vec3 q = p + direction * radius * (.12 + .88 * fract(u * 7.31 + phase)) + n * .003;
        vec4 clip = view_projection * vec4(q, 1);
        vec2 at = clip.xy / clip.w * .5 + .5;
        if (at.x < 0. || at.y < 0. || at.x > 1. || at.y > 1.) continue;
        float seen = distance(texture(positions, at).xyz, eye), wanted = distance(q, eye);
        if (seen < wanted - .002) occlusion += smoothstep(3. * radius, .0, wanted - seen);
    }
    visibility = 1. - occlusion / float(SAMPLES);
}"""

_OCCLUSION_BLUR_FRAGMENT = """#version 330
in vec2 screen; out float visibility;
uniform sampler2D occlusion, positions; uniform vec2 pixel;
void main() {
    vec3 p = texture(positions, screen).xyz;
    float total = 0., sum = 0.;
    for (int i = -2; i <= 2; i++) for (int j = -2; j <= 2; j++) {
        vec2 at = screen + vec2(i, j) * pixel;
        vec3 d = texture(positions, at).xyz - p;
        float weight = exp(-dot(d, d) * 4000.);
        total += weight;
        sum += weight * texture(occlusion, at).r;
    }
    visibility = sum / total;
}"""

_LIGHTING_FRAGMENT = """#version 330
in vec2 screen; out vec4 radiance;
uniform sampler2D albedo_map, normals, positions, occlusion, shadow_map_0, shadow_map_1;
uniform mat4 light_matrix_0, light_matrix_1;
uniform vec3 light_position[2]; uniform vec3 light_color[2]; uniform vec3 light_direction[2];
uniform vec4 light_shape[2];  // size, directional, gobo, spot cosine
uniform vec4 gobo;
uniform vec3 sky, ground, bounce, wall, window, eye; uniform mat3 environment_rotation; uniform float surface_height;

float screen_hash(vec2 p) { return fract(52.9829189 * fract(dot(p, vec2(.06711056, .00583715)))); }

float gobo_pattern(vec2 u) {
    if (gobo.x > .5 && gobo.x < 1.5) {
        float g = smoothstep(.25, .6, .5 + .5 * sin(u.x * gobo.y + u.y * gobo.z));
        return .15 + .85 * g * (.6 + .4 * sin(u.y * 3. + u.x * 1.3));
    }
    if (gobo.x > 1.5) {
        vec2 q = abs(fract(u * gobo.y * .06 + gobo.zw) - .5);
        return .12 + .9 * smoothstep(.475, .42, max(q.x, q.y));
    }
    return 1.;
}

// Percentage-closer soft shadows: the penumbra grows with the distance between blocker and receiver.
float shadow(sampler2D map, mat4 matrix, vec3 p, float size, float phase, out vec2 light_uv) {
    vec4 clip = matrix * vec4(p, 1);
    vec3 q = clip.xyz / clip.w * .5 + .5;
    light_uv = q.xy;
    if (q.z > 1. || q.x < 0. || q.y < 0. || q.x > 1. || q.y > 1.) return 1.;
    const float BIAS = .0012;
    float blocker_depth = 0., blockers = 0.;
    for (int i = 0; i < 8; i++) {
        float angle = phase + float(i) * 2.39996;
        vec2 d = vec2(cos(angle), sin(angle)) * sqrt((float(i) + .5) / 8.) * size * .05;
        float z = texture(map, q.xy + d).r;
        if (z < q.z - BIAS) { blocker_depth += z; blockers += 1.; }
    }
    if (blockers < .5) return 1.;
    blocker_depth /= blockers;
    float penumbra = clamp((q.z - blocker_depth) * size * .9, .0012, .05);
    float lit = 0.;
    for (int i = 0; i < 14; i++) {
        float angle = phase + float(i) * 2.39996;
        vec2 d = vec2(cos(angle), sin(angle)) * sqrt((float(i) + .5) / 14.) * penumbra;
        lit += texture(map, q.xy + d).r < q.z - BIAS - penumbra * .12 ? 0. : 1.;
    }
    return lit / 14.;
}

vec3 environment(vec3 direction, float roughness) {
    vec3 r = environment_rotation * direction;
    vec3 c = mix(ground, sky, smoothstep(-.3 - roughness, .4 + roughness, direction.z));
    float w = .04 + .5 * roughness;
    float pane = smoothstep(w, -w, abs(r.x - .2) - .35) * smoothstep(w, -w, abs(r.z - .55) - .28) * step(0., r.y);
    float bar = 1. - .7 * smoothstep(.05, .02, abs(r.x - .2)) * (1. - roughness);
    return c + window * pane * bar * (1. - .75 * roughness);
}

void main() {
    vec4 albedo_roughness = texture(albedo_map, screen), normal_material = texture(normals, screen);
    vec3 n = normal_material.xyz, p = texture(positions, screen).xyz;
    if (dot(n, n) < .1) { radiance = vec4(wall, 1); return; }
    n = normalize(n);
    vec3 v = normalize(eye - p), albedo = albedo_roughness.rgb;
    float roughness = albedo_roughness.a;
    float skin = step(1.5, normal_material.w), metalness = normal_material.w - 2. * skin;
    float visibility = texture(occlusion, screen).r;
    float nv = max(dot(n, v), .02);
    vec3 f0 = mix(vec3(.04), albedo, metalness), diffuse = albedo * (1. - metalness);

    float near_surface = exp(-max(p.z - surface_height, 0.) * 7.);
    vec3 ambient = mix(ground, sky, .5 + .5 * n.z) + bounce * max(-n.z * .7 + .3, 0.) * near_surface;
    // Light albedos scatter more light into their own creases.
    vec3 colored_visibility = mix(vec3(visibility), pow(vec3(visibility), vec3(1.) - .45 * albedo), .8);
    vec3 color = diffuse * ambient * colored_visibility;
    vec3 fresnel = f0 + (max(vec3(1. - roughness), f0) - f0) * pow(1. - nv, 5.);
    color += environment(reflect(-v, n), roughness) * fresnel * mix(1., visibility, .8)
             * (1. - .55 * roughness * (1. - metalness));

    float phase = screen_hash(gl_FragCoord.xy) * 6.2832;
    for (int k = 0; k < 2; k++) {
        if (dot(light_color[k], light_color[k]) < 1e-6) continue;
        bool directional = light_shape[k].y > .5;
        vec3 to_light = light_position[k] - p;
        float squared_distance = dot(to_light, to_light);
        vec3 l = directional ? -light_direction[k] : to_light * inversesqrt(squared_distance);
        float attenuation = 1.;
        if (!directional)
            attenuation = smoothstep(light_shape[k].w, light_shape[k].w + .25, dot(-l, light_direction[k])) / squared_distance;
        float nl = dot(n, l), lit = 1.;
        vec2 light_uv = vec2(0);
        if (nl > -.3) {
            if (k == 0) lit = shadow(shadow_map_0, light_matrix_0, p + n * .004, light_shape[k].x, phase, light_uv);
            else lit = shadow(shadow_map_1, light_matrix_1, p + n * .004, light_shape[k].x, phase, light_uv);
        }
        if (light_shape[k].z > .5) lit *= gobo_pattern(light_uv * 12.);
        vec3 wrapped = vec3(max(nl, 0.));
        if (skin > .5) {  // light that seeps through skin turns red beyond the terminator
            wrapped = max((vec3(nl) + vec3(.35, .12, .08)) / vec3(1.35, 1.12, 1.08), 0.);
            wrapped *= mix(vec3(1, .85, .8), vec3(1), lit);
        }
        vec3 h = normalize(l + v);
        float nh = max(dot(n, h), 0.), alpha = roughness * roughness + .002;
        float denominator = nh * nh * (alpha * alpha - 1.) + 1.;
        float distribution = alpha * alpha / (3.1416 * denominator * denominator);
        float k_geometry = alpha * .5 + .05;
        float geometry = 1. / ((max(nl, 0.) * (1. - k_geometry) + k_geometry) * (nv * (1. - k_geometry) + k_geometry) * 4.);
        vec3 f = f0 + (1. - f0) * pow(1. - max(dot(h, v), 0.), 5.);
        color += light_color[k] * attenuation * lit
                 * (diffuse * wrapped + min(distribution * geometry, 12.) * f * max(nl, 0.) * 3.1416 * .5);
    }
    if (any(isnan(color)) || any(isinf(color))) color = vec3(.05);
    radiance = vec4(min(color, vec3(200.)), 1);
}"""


def _create_context() -> moderngl.Context:
    try:
        return moderngl.create_context(standalone=True, backend="egl", libgl="libGL.so.1", libegl="libEGL.so.1")
    except Exception as error:  # moderngl raises a bare Exception when a library or a device is missing
        raise NoDisplayError(
            "rendering needs EGL with Mesa's software renderer but none was found. On Debian or Ubuntu: "
            f"apt-get install libegl1 libegl-mesa0 libgl1 libgl1-mesa-dri (cause: {error})"
        ) from error


class Renderer:
    """Renders scenes at one picture size; keeps its device buffers and textures between scenes.

    Args:
        width, height: of the pictures, pixels.
        supersampling: shading runs at this multiple of the size and is averaged down.
        shadow_size: edge of the shadow maps, texels.

    Raises:
        NoDisplayError: no EGL device was found.
    """

    _VERTEX_FORMAT = "3f 3f 2f 3f"
    _VERTEX_FLOATS = 11

    def __init__(self, width: int, height: int, supersampling: float = 4 / 3, shadow_size: int = 1024) -> None:
        self.width, self.height = width, height
        self._context = context = _create_context()
        self._w, self._h = int(width * supersampling), int(height * supersampling)
        size, half = (self._w, self._h), (self._w // 2, self._h // 2)

        self._albedo = context.texture(size, 4, dtype="f2")
        self._normal = context.texture(size, 4, dtype="f2")
        self._position = context.texture(size, 4, dtype="f4")
        for texture in (self._albedo, self._normal, self._position):
            texture.filter = (moderngl.NEAREST, moderngl.NEAREST)
        self._geometry_buffer = context.framebuffer(
            [self._albedo, self._normal, self._position], context.depth_renderbuffer(size)
        )
        self._raw_occlusion, self._occlusion = (context.texture(half, 1, dtype="f2") for _ in range(2))
        self._raw_occlusion_buffer = context.framebuffer([self._raw_occlusion])
        self._occlusion_buffer = context.framebuffer([self._occlusion])
        self._radiance = context.texture(size, 4, dtype="f2")
        self._radiance_buffer = context.framebuffer([self._radiance])
        self._shadow_maps = [context.depth_texture((shadow_size, shadow_size)) for _ in range(2)]
        for texture in self._shadow_maps:
            texture.compare_func = ""
            texture.filter = (moderngl.NEAREST, moderngl.NEAREST)
            texture.repeat_x = texture.repeat_y = False
        self._shadow_buffers = [context.framebuffer(depth_attachment=texture) for texture in self._shadow_maps]

        self._geometry_program = context.program(_GEOMETRY_VERTEX, _GEOMETRY_FRAGMENT)
        self._shadow_program = context.program(_SHADOW_VERTEX, _SHADOW_FRAGMENT)
        quad = context.buffer(np.array([-1, -1, 1, -1, -1, 1, 1, 1], np.float32).tobytes())
        self._screen_passes = {
            name: context.vertex_array(context.program(_SCREEN_VERTEX, source), [(quad, "2f", "corner")])
            for name, source in (
                ("occlusion", _OCCLUSION_FRAGMENT),
                ("blur", _OCCLUSION_BLUR_FRAGMENT),
                ("lighting", _LIGHTING_FRAGMENT),
            )
        }
        self._white = context.texture((1, 1), 3, b"\xff\xff\xff")
        self._texture_cache: dict[int, tuple[np.ndarray, moderngl.Texture]] = {}

    def render(
        self,
        parts: Sequence[Part],
        camera: Camera,
        lights: Sequence[Light],
        environment: Environment,
        center: np.ndarray,
        accept: Callable[[np.ndarray], bool] | None = None,
    ) -> Rendering | None:
        """Renders one scene.

        Args:
            parts: world-space geometry.
            camera: who looks.
            lights: exactly two; a second one may be black.
            environment: everything else that shines.
            center: (3,) around which a sun's shadow map is laid.
            accept: sees the (H, W) ids before the costly passes; a false answer abandons the scene.

        Returns:
            The rendering, or None when ``accept`` declined.
        """
        if len(lights) != 2:
            raise ValueError(f"a scene has exactly 2 lights but got {len(lights)}")
        if any(part.mask_id > MAX_MASK_ID for part in parts):
            raise ValueError(f"mask ids go up to {MAX_MASK_ID} but got {max(part.mask_id for part in parts)}")
        packed = [_pack_corners(part) for part in parts]
        counts = [len(corners) for corners in packed]
        starts = np.cumsum([0, *counts])
        spans = [(int(starts[k]), counts[k]) for k in range(len(parts))]
        vertices = self._context.buffer(np.concatenate(packed).tobytes())
        geometry = self._context.vertex_array(
            self._geometry_program, [(vertices, self._VERTEX_FORMAT, "position", "normal", "uv", "color")]
        )
        skip = (self._VERTEX_FLOATS - 3) * 4
        casters = self._context.vertex_array(self._shadow_program, [(vertices, f"3f {skip}x", "position")])
        passing: list[moderngl.Texture] = []
        try:
            self._draw_geometry(parts, geometry, spans, camera, passing)
            ids, depth = self._read_ids_and_depth()
            if accept is not None and not accept(ids):
                return None
            matrices = self._draw_shadows(casters, int(starts[-1]), lights, center)
            self._draw_occlusion(camera)
            return Rendering(self._draw_lighting(camera, lights, matrices, environment), ids, depth)
        finally:
            for resource in (*passing, geometry, casters, vertices):
                resource.release()

    def _draw_geometry(
        self,
        parts: Sequence[Part],
        geometry: moderngl.VertexArray,
        spans: list[tuple[int, int]],
        camera: Camera,
        passing: list[moderngl.Texture],
    ) -> None:
        context, program = self._context, self._geometry_program
        context.enable(moderngl.DEPTH_TEST)
        context.disable(moderngl.CULL_FACE)
        self._geometry_buffer.use()
        self._geometry_buffer.clear(0, 0, 0, 0, depth=1.0)
        _set_uniforms(
            program,
            view_projection=camera.view_projection(self.width / self.height),
            view=camera.view_matrix(),
            eye=camera.eye,
        )
        # Hands and objects first, the room last: the depth test then spares most of its shading.
        order = sorted(range(len(parts)), key=lambda k: (parts[k].mask_id == 0, parts[k].mask_id or -k))
        for k in order:
            part = parts[k]
            self._device_texture(part.texture, passing).use(0)
            _set_uniforms(
                program,
                base_color=part.color,
                roughness=part.roughness,
                metalness=part.metalness,
                skin=float(part.skin),
                bump=part.bump,
                bump_frequency=part.bump_frequency,
                noise=part.noise,
                mask_id=float(part.mask_id),
            )
            first, count = spans[k]
            geometry.render(moderngl.TRIANGLES, vertices=count, first=first)

    def _device_texture(self, pixels: np.ndarray | None, passing: list[moderngl.Texture]) -> moderngl.Texture:
        if pixels is None:
            return self._white
        if id(pixels) in self._texture_cache:
            return self._texture_cache[id(pixels)][1]
        height, width = pixels.shape[:2]
        texture = self._context.texture((width, height), 3, np.ascontiguousarray(pixels).tobytes(), alignment=1)
        texture.build_mipmaps()
        # No anisotropic filtering: Mesa 22.3 can loop for ever in it where a triangle is seen nearly edge-on.
        if height == width == SHARED_TEXTURE_SIZE and len(self._texture_cache) < MAX_CACHED_TEXTURES:
            self._texture_cache[id(pixels)] = (pixels, texture)  # holding the array keeps its id from being reused
        else:
            passing.append(texture)
        return texture

    def clear_texture_cache(self) -> None:
        """Frees the textures of a bank that is no longer used."""
        for _, texture in self._texture_cache.values():
            texture.release()
        self._texture_cache.clear()

    def _read_ids_and_depth(self) -> tuple[np.ndarray, np.ndarray]:
        packed = self._read(self._position, "f4")[..., 3]
        # Ids cannot be averaged: take the sample in the middle of each output pixel.
        rows = ((np.arange(self.height) + 0.5) * self._h / self.height).astype(int)
        columns = ((np.arange(self.width) + 0.5) * self._w / self.width).astype(int)
        packed = packed[np.ix_(rows, columns)]
        ids = np.floor(packed)
        return ids.astype(np.uint8), ((packed - ids) * 64).astype(np.float32)

    def _draw_shadows(
        self, casters: moderngl.VertexArray, count: int, lights: Sequence[Light], center: np.ndarray
    ) -> list[np.ndarray]:
        matrices = [light.view_projection(center) for light in lights]
        for matrix, buffer in zip(matrices, self._shadow_buffers, strict=True):
            buffer.use()
            buffer.clear(depth=1.0)
            _set_uniforms(self._shadow_program, view_projection=matrix)
            casters.render(moderngl.TRIANGLES, vertices=count)
        return matrices

    def _draw_occlusion(self, camera: Camera) -> None:
        self._context.disable(moderngl.DEPTH_TEST)
        self._raw_occlusion_buffer.use()
        self._run_screen_pass(
            "occlusion",
            {"normals": self._normal, "positions": self._position},
            view_projection=camera.view_projection(self.width / self.height),
            eye=camera.eye,
            radius=0.14,
        )
        self._occlusion_buffer.use()
        self._run_screen_pass(
            "blur",
            {"occlusion": self._raw_occlusion, "positions": self._position},
            pixel=(2 / self._w, 2 / self._h),
        )

    def _draw_lighting(
        self, camera: Camera, lights: Sequence[Light], matrices: list[np.ndarray], environment: Environment
    ) -> np.ndarray:
        self._radiance_buffer.use()
        shapes = [[light.size, float(light.directional), float(light.gobo), light.spot_cosine] for light in lights]
        self._run_screen_pass(
            "lighting",
            {
                "albedo_map": self._albedo,
                "normals": self._normal,
                "positions": self._position,
                "occlusion": self._occlusion,
                "shadow_map_0": self._shadow_maps[0],
                "shadow_map_1": self._shadow_maps[1],
            },
            light_matrix_0=matrices[0],
            light_matrix_1=matrices[1],
            light_position=np.array([light.position for light in lights]),
            light_color=np.array([light.color for light in lights]),
            light_direction=np.array([light.direction for light in lights]),
            light_shape=np.array(shapes),
            gobo=environment.gobo,
            sky=environment.sky,
            ground=environment.ground,
            bounce=environment.bounce,
            wall=environment.wall,
            window=environment.window,
            eye=camera.eye,
            environment_rotation=environment.rotation,
            surface_height=environment.surface_height,
        )
        radiance = self._read(self._radiance, "f2")[..., :3].astype(np.float32)
        return cv2.resize(radiance, (self.width, self.height), interpolation=cv2.INTER_AREA)

    def _run_screen_pass(self, name: str, textures: dict[str, moderngl.Texture], **uniforms: object) -> None:
        quad = self._screen_passes[name]
        for unit, (sampler, texture) in enumerate(textures.items()):
            texture.use(unit)
            _set_uniforms(quad.program, **{sampler: unit})
        _set_uniforms(quad.program, **uniforms)
        quad.render(moderngl.TRIANGLE_STRIP)

    def _read(self, texture: moderngl.Texture, dtype: str) -> np.ndarray:
        pixels = np.frombuffer(texture.read(), dtype).reshape(self._h, self._w, -1)
        return pixels[::-1]  # OpenGL's rows run upwards


def _pack_corners(part: Part) -> np.ndarray:
    """(3M, 11) float32 rows of position, normal, uv and colour, one per triangle corner."""
    corners = np.asarray(part.faces).ravel()
    packed = np.empty((len(corners), Renderer._VERTEX_FLOATS), np.float32)
    packed[:, 0:3] = part.vertices[corners]
    packed[:, 3:6] = part.normals
    packed[:, 6:8] = 0 if part.uv is None else part.uv[corners]
    packed[:, 8:11] = 1 if part.vertex_colors is None else part.vertex_colors[corners]
    return packed


def _set_uniforms(program: moderngl.Program, **uniforms: object) -> None:
    for name, value in uniforms.items():
        if name not in program:
            continue  # the driver removes what a shader does not use
        if isinstance(value, int):
            program[name].value = value
        else:
            array = np.asarray(value, np.float32)
            is_matrix = array.ndim == 2 and array.shape[0] == array.shape[1]
            program[name].write(np.ascontiguousarray(array.T if is_matrix else array).tobytes())  # column-major

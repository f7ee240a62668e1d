// libonnxc_images.so: pictures as ImageDecoder gives them (onnx/docs/Operators.md), pixel for pixel as Pillow does:
// palettes become colours, alpha is dropped, samples become 8 bits wide, only the first frame is read. Every decoder
// looks at the header first and decodes only where its dims are those that the caller has memory for. The bytes may be
// anything. Tested in tests/api/test_images.py.
#include "runtime_lib/abi/images.h"

// clang-format off: jpeglib.h uses the types of cstdio
#include <cstdio>
#include <jpeglib.h>
#include <jerror.h>
// clang-format on
#include <openjpeg.h>
#include <png.h>
#include <tiffio.h>
#include <webp/decode.h>

#include <algorithm>
#include <cmath>
#include <csetjmp>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>

#define STB_IMAGE_IMPLEMENTATION
#define STB_IMAGE_STATIC
#define STBI_NO_STDIO
#define STBI_ONLY_BMP
#include <stb/stb_image.h>

namespace {

constexpr int32_t kOk = 0;

struct Free {
  void operator()(void* memory) const { std::free(memory); }
};
template <class T>
using Memory = std::unique_ptr<T[], Free>;
template <class T>
Memory<T> allocate(int64_t count) {
  return Memory<T>(static_cast<T*>(std::malloc(static_cast<size_t>(count) * sizeof(T))));
}

struct Picture {
  const uint8_t* bytes;
  int64_t length;
  uint8_t* rgb;  // null: only the dims are wanted
  int64_t height, width;

  // What a header says. Not kOk: the decoder must not go on.
  int32_t found(int64_t h, int64_t w) {
    if (h <= 0 || w <= 0) return ONNXC_IMAGE_BROKEN;
    if (h > ONNXC_IMAGE_MOST_PIXELS / w) return ONNXC_IMAGE_TOO_LARGE;
    if (rgb) return h == height && w == width ? kOk : ONNXC_IMAGE_BROKEN;
    height = h;
    width = w;
    return kOk;
  }
  uint8_t* row(int64_t y) const { return rgb + y * width * 3; }
  bool begins(const char* magic, int64_t count, int64_t at = 0) const {
    return length >= at + count && std::memcmp(bytes + at, magic, static_cast<size_t>(count)) == 0;
  }
};

uint8_t clip8(int64_t v) { return static_cast<uint8_t>(std::clamp<int64_t>(v, 0, 255)); }

// Pillow's quotient by 255.
int product255(int a, int b) {
  const int t = a * b + 128;
  return ((t >> 8) + t) >> 8;
}

void put_grey(uint8_t* to, uint8_t v) { to[0] = to[1] = to[2] = v; }

// ---- BMP

uint32_t little_endian(const uint8_t* at, int count) {
  uint32_t v = 0;
  for (int i = count; i-- > 0;) v = v << 8 | at[i];
  return v;
}

// stb_image takes pixels beyond the end of the file for black.
bool is_whole_bmp(const Picture& p) {
  if (p.length < 30) return false;
  const bool old = little_endian(p.bytes + 14, 4) == 12;
  const int64_t bits = little_endian(p.bytes + (old ? 24 : 28), 2);
  const int64_t row = (p.width * bits + 31) / 32 * 4, last = (p.width * bits + 7) / 8;
  return little_endian(p.bytes + 10, 4) + row * (p.height - 1) + last <= p.length;
}

int32_t decode_bmp(Picture& p) {
  int w = 0, h = 0, channels = 0;
  const int length = static_cast<int>(p.length);
  if (!stbi_info_from_memory(p.bytes, length, &w, &h, &channels)) return ONNXC_IMAGE_BROKEN;
  if (const int32_t code = p.found(std::abs(static_cast<int64_t>(h)), w); code || !p.rgb) return code;
  if (!is_whole_bmp(p)) return ONNXC_IMAGE_BROKEN;
  const std::unique_ptr<stbi_uc, Free> pixels(stbi_load_from_memory(p.bytes, length, &w, &h, &channels, 3));
  if (!pixels || w != p.width || h != p.height) return ONNXC_IMAGE_BROKEN;
  std::memcpy(p.rgb, pixels.get(), static_cast<size_t>(p.height * p.width * 3));
  return kOk;
}

// ---- PBM, PGM, PPM

class PnmReader {
 public:
  explicit PnmReader(const Picture& p) : at_(p.bytes + 2), end_(p.bytes + p.length) {}
  int64_t left() const { return end_ - at_; }
  const uint8_t* at() const { return at_; }
  void skip_byte() { ++at_; }

  // -1: there is none.
  int64_t number() {
    skip_space();
    int64_t v = -1;
    for (; at_ < end_ && *at_ >= '0' && *at_ <= '9' && v <= INT32_MAX; ++at_)
      v = std::max<int64_t>(v, 0) * 10 + *at_ - '0';
    return v;
  }
  // A digit of a bit map, between which no space is needed.
  int64_t bit() {
    skip_space();
    return at_ < end_ && (*at_ == '0' || *at_ == '1') ? *at_++ - '0' : -1;
  }
  int64_t sample(int bytes) {
    if (left() < bytes) return -1;
    int64_t v = 0;
    for (int i = 0; i < bytes; ++i) v = v << 8 | *at_++;
    return v;
  }

 private:
  static bool is_space(uint8_t c) { return c == ' ' || (c >= '\t' && c <= '\r'); }
  void skip_space() {
    while (at_ < end_ && (is_space(*at_) || *at_ == '#')) {
      const bool comment = *at_++ == '#';
      while (comment && at_ < end_ && *at_ != '\n' && *at_ != '\r') ++at_;
    }
  }
  const uint8_t *at_, *end_;
};

int32_t read_bit_map(PnmReader& in, const Picture& p, bool text) {
  for (int64_t y = 0; y < p.height; ++y) {
    if (!text && in.left() < (p.width + 7) / 8) return ONNXC_IMAGE_BROKEN;
    for (int64_t x = 0; x < p.width; ++x) {
      const int64_t bit = text ? in.bit() : *in.at() >> (7 - x % 8) & 1;
      if (bit < 0) return ONNXC_IMAGE_BROKEN;
      put_grey(p.row(y) + 3 * x, bit ? 0 : 255);
      if (!text && (x % 8 == 7 || x == p.width - 1)) in.skip_byte();
    }
  }
  return kOk;
}

int32_t read_samples(PnmReader& in, const Picture& p, bool text, bool grey, int64_t greatest) {
  const int bytes = greatest > 255 ? 2 : 1;
  for (int64_t i = 0; i < p.height * p.width * 3; i += grey ? 3 : 1) {
    const int64_t v = text ? in.number() : in.sample(bytes);
    if (v < 0) return ONNXC_IMAGE_BROKEN;
    const double scaled = static_cast<double>(v) / static_cast<double>(greatest) * 255;
    p.rgb[i] = clip8(std::llrint(std::min(scaled, 255.0)));
    if (grey) put_grey(p.rgb + i, p.rgb[i]);
  }
  return kOk;
}

int32_t decode_pnm(Picture& p) {
  PnmReader in(p);
  const int kind = p.bytes[1] - '0';
  const bool text = kind <= 3, bits = kind == 1 || kind == 4, grey = kind == 2 || kind == 5;
  const int64_t width = in.number(), height = in.number(), greatest = bits ? 1 : in.number();
  if (greatest < 1 || greatest > 65535) return ONNXC_IMAGE_BROKEN;
  if (const int32_t code = p.found(height, width); code || !p.rgb) return code;
  if (!text) in.skip_byte();  // one space ends the header
  return bits ? read_bit_map(in, p, text) : read_samples(in, p, text, grey, greatest);
}

// ---- JPEG

struct JpegErrors {
  jpeg_error_mgr base;
  std::jmp_buf jump;
};

[[noreturn]] void jpeg_failed(j_common_ptr c) { std::longjmp(reinterpret_cast<JpegErrors*>(c->err)->jump, 1); }
boolean jpeg_ended(j_decompress_ptr c) { jpeg_failed(reinterpret_cast<j_common_ptr>(c)); }
// Where data ends before the picture does, libjpeg would go on with grey.
void jpeg_warned(j_common_ptr c, int level) {
  if (level < 0 && c->err->msg_code == JWRN_HIT_MARKER) jpeg_failed(c);
}
// Progressive pictures may make a few bytes the work of hours.
void jpeg_limit_scans(j_common_ptr c) {
  if (reinterpret_cast<j_decompress_ptr>(c)->input_scan_number > 500) jpeg_failed(c);
}

void cmyk_to_rgb(const uint8_t* from, uint8_t* to, int64_t width, bool inverted) {
  for (int64_t x = 0; x < width; ++x, from += 4, to += 3) {
    uint8_t ink[4];
    for (int i = 0; i < 4; ++i) ink[i] = static_cast<uint8_t>(inverted ? 255 - from[i] : from[i]);
    const int rest = 255 - ink[3];
    for (int i = 0; i < 3; ++i) to[i] = clip8(rest - product255(ink[i], rest));
  }
}

int32_t read_jpeg(jpeg_decompress_struct& c, Picture& p) {
  jpeg_read_header(&c, TRUE);
  if (const int32_t code = p.found(c.image_height, c.image_width); code || !p.rgb) return code;
  const bool cmyk = c.num_components == 4;
  c.out_color_space = cmyk ? JCS_CMYK : JCS_RGB;
  jpeg_start_decompress(&c);
  if (c.output_height != p.height || c.output_width != p.width) return ONNXC_IMAGE_BROKEN;
  JSAMPARRAY ink = nullptr;
  if (cmyk) ink = c.mem->alloc_sarray(reinterpret_cast<j_common_ptr>(&c), JPOOL_IMAGE, c.output_width * 4, 1);
  while (c.output_scanline < c.output_height) {
    const int64_t y = c.output_scanline;
    JSAMPROW row = cmyk ? ink[0] : p.row(y);
    jpeg_read_scanlines(&c, &row, 1);
    if (cmyk) cmyk_to_rgb(row, p.row(y), p.width, c.saw_Adobe_marker);
  }
  return kOk;
}

int32_t decode_jpeg(Picture& p) {
  jpeg_decompress_struct c = {};
  JpegErrors errors = {};
  jpeg_progress_mgr progress = {};
  c.err = jpeg_std_error(&errors.base);
  errors.base.error_exit = jpeg_failed;
  errors.base.emit_message = jpeg_warned;
  progress.progress_monitor = jpeg_limit_scans;
  if (setjmp(errors.jump)) {
    jpeg_destroy_decompress(&c);
    return ONNXC_IMAGE_BROKEN;
  }
  jpeg_create_decompress(&c);
  c.progress = &progress;
  jpeg_mem_src(&c, p.bytes, static_cast<unsigned long>(p.length));
  c.src->fill_input_buffer = jpeg_ended;
  const int32_t code = read_jpeg(c, p);
  jpeg_destroy_decompress(&c);
  return code;
}

// ---- PNG

struct PngSource {
  const uint8_t* at;
  size_t left;
};

[[noreturn]] void png_failed(png_structp png, png_const_charp) { png_longjmp(png, 1); }
void png_quiet(png_structp, png_const_charp) {}
void png_take(png_structp png, png_bytep to, size_t count) {
  auto& source = *static_cast<PngSource*>(png_get_io_ptr(png));
  if (count > source.left) png_failed(png, "");
  std::memcpy(to, source.at, count);
  source.at += count;
  source.left -= count;
}

int32_t read_png(png_structp png, png_infop info, Picture& p) {
  png_read_info(png, info);
  if (const int32_t code = p.found(png_get_image_height(png, info), png_get_image_width(png, info)); code || !p.rgb)
    return code;
  png_set_expand(png);
  png_set_strip_16(png);
  png_set_gray_to_rgb(png);
  png_set_strip_alpha(png);
  const int passes = png_set_interlace_handling(png);
  png_read_update_info(png, info);
  if (png_get_rowbytes(png, info) != static_cast<size_t>(p.width) * 3) return ONNXC_IMAGE_BROKEN;
  for (int pass = 0; pass < passes; ++pass)
    for (int64_t y = 0; y < p.height; ++y) png_read_row(png, p.row(y), nullptr);
  return kOk;
}

int32_t decode_png(Picture& p) {
  PngSource source = {p.bytes, static_cast<size_t>(p.length)};
  png_structp png = png_create_read_struct(PNG_LIBPNG_VER_STRING, nullptr, png_failed, png_quiet);
  if (!png) return ONNXC_IMAGE_NO_MEMORY;
  png_infop info = png_create_info_struct(png);
  int32_t code = ONNXC_IMAGE_NO_MEMORY;
  if (info && setjmp(png_jmpbuf(png))) {
    png_destroy_read_struct(&png, &info, nullptr);
    return ONNXC_IMAGE_BROKEN;
  }
  if (info) {
    png_set_read_fn(png, &source, png_take);
    png_set_user_limits(png, INT32_MAX, INT32_MAX);  // found() has the limit
    code = read_png(png, info, p);
  }
  png_destroy_read_struct(&png, &info, nullptr);
  return code;
}

// ---- TIFF

struct TiffSource {
  const uint8_t* bytes;
  uint64_t length, at;
};

TiffSource& tiff_source(thandle_t handle) { return *static_cast<TiffSource*>(handle); }
tmsize_t tiff_read(thandle_t handle, void* to, tmsize_t count) {
  TiffSource& s = tiff_source(handle);
  if (s.at >= s.length || count <= 0) return 0;
  const uint64_t taken = std::min<uint64_t>(static_cast<uint64_t>(count), s.length - s.at);
  std::memcpy(to, s.bytes + s.at, taken);
  s.at += taken;
  return static_cast<tmsize_t>(taken);
}
tmsize_t tiff_write(thandle_t, void*, tmsize_t) { return 0; }
toff_t tiff_seek(thandle_t handle, toff_t offset, int whence) {
  TiffSource& s = tiff_source(handle);
  s.at = offset + (whence == SEEK_CUR ? s.at : whence == SEEK_END ? s.length : 0);
  return s.at;
}
int tiff_close(thandle_t) { return 0; }
toff_t tiff_size(thandle_t handle) { return tiff_source(handle).length; }
int tiff_quiet(TIFF*, void*, const char*, const char*, va_list) { return 1; }

struct CloseTiff {
  void operator()(TIFF* tiff) const { TIFFClose(tiff); }
};
using Tiff = std::unique_ptr<TIFF, CloseTiff>;

Tiff open_tiff(TiffSource& source) {
  TIFFOpenOptions* options = TIFFOpenOptionsAlloc();
  if (!options) return nullptr;
  TIFFOpenOptionsSetMaxSingleMemAlloc(options, tmsize_t{4} * ONNXC_IMAGE_MOST_PIXELS);
  TIFFOpenOptionsSetErrorHandlerExtR(options, tiff_quiet, nullptr);
  TIFFOpenOptionsSetWarningHandlerExtR(options, tiff_quiet, nullptr);
  Tiff tiff(TIFFClientOpenExt("picture", "rm", &source, tiff_read, tiff_write, tiff_seek, tiff_close, tiff_size,
                              nullptr, nullptr, options));
  TIFFOpenOptionsFree(options);
  return tiff;
}

// Else libtiff multiplies colours by an alpha that is dropped.
void keep_colours(TIFF* tiff) {
  uint16_t count = 0, *kinds = nullptr;
  if (!TIFFGetFieldDefaulted(tiff, TIFFTAG_EXTRASAMPLES, &count, &kinds) || count == 0) return;
  if (kinds[0] != EXTRASAMPLE_UNASSALPHA) return;
  const auto unknown = std::make_unique<uint16_t[]>(count);  // EXTRASAMPLE_UNSPECIFIED
  TIFFSetField(tiff, TIFFTAG_EXTRASAMPLES, count, unknown.get());
}

// The pixel at (y, x) of the upright picture, in one of h rows and w columns as they are stored.
uint32_t upright_pixel(const uint32_t* stored, int64_t h, int64_t w, int orientation, int64_t y, int64_t x) {
  if (orientation >= ORIENTATION_LEFTTOP) std::swap(y, x);
  const bool down = orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7;
  const bool left = orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8;
  return stored[(down ? h - 1 - y : y) * w + (left ? w - 1 - x : x)];
}

int32_t read_tiff_pixels(TIFF* tiff, const Picture& p, uint32_t h, uint32_t w, int orientation) {
  char text[1024];
  TIFFRGBAImage image;
  const Memory<uint32_t> stored = allocate<uint32_t>(static_cast<int64_t>(h) * w);
  if (!stored) return ONNXC_IMAGE_NO_MEMORY;
  if (!TIFFRGBAImageOK(tiff, text) || !TIFFRGBAImageBegin(&image, tiff, 1, text)) return ONNXC_IMAGE_BROKEN;
  image.req_orientation = ORIENTATION_TOPLEFT;
  const bool whole = TIFFRGBAImageGet(&image, stored.get(), w, h);
  TIFFRGBAImageEnd(&image);
  if (!whole) return ONNXC_IMAGE_BROKEN;
  uint8_t* to = p.rgb;
  for (int64_t y = 0; y < p.height; ++y)
    for (int64_t x = 0; x < p.width; ++x, to += 3) {
      const uint32_t pixel = upright_pixel(stored.get(), h, w, orientation, y, x);
      to[0] = TIFFGetR(pixel), to[1] = TIFFGetG(pixel), to[2] = TIFFGetB(pixel);
    }
  return kOk;
}

// libtiff takes some strips and tiles that are not there for empty ones.
bool has_all_strips(TIFF* tiff, uint64_t length) {
  const uint32_t count = TIFFIsTiled(tiff) ? TIFFNumberOfTiles(tiff) : TIFFNumberOfStrips(tiff);
  for (uint32_t i = 0; i < count; ++i)
    if (TIFFGetStrileByteCount(tiff, i) == 0 || TIFFGetStrileOffset(tiff, i) >= length) return false;
  return true;
}

int32_t decode_tiff(Picture& p) {
  TiffSource source = {p.bytes, static_cast<uint64_t>(p.length), 0};
  const Tiff tiff = open_tiff(source);
  uint32_t w = 0, h = 0;
  if (!tiff || !TIFFGetField(tiff.get(), TIFFTAG_IMAGEWIDTH, &w) || !TIFFGetField(tiff.get(), TIFFTAG_IMAGELENGTH, &h))
    return ONNXC_IMAGE_BROKEN;
  uint16_t orientation = ORIENTATION_TOPLEFT;
  TIFFGetFieldDefaulted(tiff.get(), TIFFTAG_ORIENTATION, &orientation);
  const bool turned = orientation >= ORIENTATION_LEFTTOP && orientation <= ORIENTATION_LEFTBOT;
  if (const int32_t code = turned ? p.found(w, h) : p.found(h, w); code || !p.rgb) return code;
  if (!has_all_strips(tiff.get(), source.length)) return ONNXC_IMAGE_BROKEN;
  TIFFSetField(tiff.get(), TIFFTAG_ORIENTATION, ORIENTATION_TOPLEFT);
  keep_colours(tiff.get());
  return read_tiff_pixels(tiff.get(), p, h, w, turned || orientation <= ORIENTATION_BOTLEFT ? orientation : 1);
}

// ---- WebP

int32_t decode_webp(Picture& p) {
  WebPBitstreamFeatures features;
  const auto length = static_cast<size_t>(p.length);
  if (WebPGetFeatures(p.bytes, length, &features) != VP8_STATUS_OK) return ONNXC_IMAGE_BROKEN;
  if (const int32_t code = p.found(features.height, features.width); code || !p.rgb) return code;
  const auto bytes = static_cast<size_t>(p.height * p.width * 3);
  return WebPDecodeRGBInto(p.bytes, length, p.rgb, bytes, static_cast<int>(3 * p.width)) ? kOk : ONNXC_IMAGE_BROKEN;
}

// ---- JPEG 2000

struct Jp2Source {
  const uint8_t* bytes;
  int64_t length, at;
};

size_t jp2_read(void* to, size_t count, void* source) {
  auto& s = *static_cast<Jp2Source*>(source);
  const size_t taken = std::min<size_t>(count, static_cast<size_t>(s.length - s.at));
  if (!taken) return static_cast<size_t>(-1);
  std::memcpy(to, s.bytes + s.at, taken);
  s.at += static_cast<int64_t>(taken);
  return taken;
}
int64_t jp2_skip(int64_t count, void* source) {
  auto& s = *static_cast<Jp2Source*>(source);
  const int64_t taken = std::clamp<int64_t>(count, -s.at, s.length - s.at);
  s.at += taken;
  return taken == 0 && count != 0 ? -1 : taken;
}
int jp2_seek(int64_t at, void* source) {
  auto& s = *static_cast<Jp2Source*>(source);
  if (at < 0 || at > s.length) return OPJ_FALSE;
  s.at = at;
  return OPJ_TRUE;
}

// Sample of a component, 8 bits wide, rounded as Pillow does.
int jp2_sample(const opj_image_comp_t& c, int64_t y, int64_t x) {
  const int64_t row = std::min<int64_t>(y / c.dy, c.h - 1), column = std::min<int64_t>(x / c.dx, c.w - 1);
  int64_t v = c.data[row * c.w + column];
  if (c.sgnd) v += int64_t{1} << (c.prec - 1);
  if (c.prec > 8) return clip8((v + (int64_t{1} << (c.prec - 9))) >> (c.prec - 8));
  return clip8(v * (1 << (8 - c.prec)));
}

bool is_readable(const opj_image_t& image) {
  for (uint32_t i = 0; i < image.numcomps; ++i) {
    const opj_image_comp_t& c = image.comps[i];
    if (!c.data || !c.w || !c.h || !c.dx || !c.dy || !c.prec || c.prec > 31) return false;
  }
  return image.numcomps > 0;
}

void ycc_to_rgb(uint8_t* pixel) {
  const double y = pixel[0], cb = pixel[1] - 128.0, cr = pixel[2] - 128.0;
  pixel[0] = clip8(std::llrint(y + 1.402 * cr));
  pixel[1] = clip8(std::llrint(y - 0.34414 * cb - 0.71414 * cr));
  pixel[2] = clip8(std::llrint(y + 1.772 * cb));
}

void put_jp2_pixels(const opj_image_t& image, const Picture& p) {
  const bool colours = image.numcomps >= 3;
  for (int64_t y = 0; y < p.height; ++y)
    for (int64_t x = 0; x < p.width; ++x) {
      uint8_t* to = p.row(y) + 3 * x;
      for (int i = 0; i < 3; ++i) to[i] = static_cast<uint8_t>(jp2_sample(image.comps[colours ? i : 0], y, x));
      if (colours && image.color_space == OPJ_CLRSPC_SYCC) ycc_to_rgb(to);
    }
}

int32_t decode_jp2(Picture& p, OPJ_CODEC_FORMAT format) {
  constexpr uint32_t kMostComponents = 5;
  Jp2Source source = {p.bytes, p.length, 0};
  const std::unique_ptr<opj_stream_t, void (*)(opj_stream_t*)> stream(opj_stream_create(1 << 16, OPJ_TRUE),
                                                                      &opj_stream_destroy);
  const std::unique_ptr<opj_codec_t, void (*)(opj_codec_t*)> codec(opj_create_decompress(format), &opj_destroy_codec);
  if (!stream || !codec) return ONNXC_IMAGE_NO_MEMORY;
  opj_stream_set_user_data(stream.get(), &source, nullptr);
  opj_stream_set_user_data_length(stream.get(), static_cast<uint64_t>(p.length));
  opj_stream_set_read_function(stream.get(), jp2_read);
  opj_stream_set_skip_function(stream.get(), jp2_skip);
  opj_stream_set_seek_function(stream.get(), jp2_seek);
  opj_dparameters_t parameters;
  opj_set_default_decoder_parameters(&parameters);
  opj_image_t* header = nullptr;
  const bool begun = opj_setup_decoder(codec.get(), &parameters) && opj_read_header(stream.get(), codec.get(), &header);
  const std::unique_ptr<opj_image_t, void (*)(opj_image_t*)> image(header, &opj_image_destroy);
  if (!begun || !image || image->numcomps > kMostComponents) return ONNXC_IMAGE_BROKEN;
  const int64_t h = int64_t{image->y1} - image->y0, w = int64_t{image->x1} - image->x0;
  if (const int32_t code = p.found(h, w); code || !p.rgb) return code;
  if (!opj_decode(codec.get(), stream.get(), image.get()) || !is_readable(*image)) return ONNXC_IMAGE_BROKEN;
  put_jp2_pixels(*image, p);
  return kOk;
}

// ---- any of them

int32_t decode(Picture& p) {
  if (p.length > INT32_MAX) return ONNXC_IMAGE_TOO_LARGE;
  if (p.begins("\x89PNG\r\n\x1a\n", 8)) return decode_png(p);
  if (p.begins("\xff\xd8\xff", 3)) return decode_jpeg(p);
  if (p.begins("RIFF", 4) && p.begins("WEBP", 4, 8)) return decode_webp(p);
  if (p.begins("II*\0", 4) || p.begins("MM\0*", 4) || p.begins("II+\0", 4) || p.begins("MM\0+", 4))
    return decode_tiff(p);
  if (p.begins("\0\0\0\x0cjP  \r\n\x87\n", 12)) return decode_jp2(p, OPJ_CODEC_JP2);
  if (p.begins("\xff\x4f\xff\x51", 4)) return decode_jp2(p, OPJ_CODEC_J2K);
  if (p.begins("BM", 2)) return decode_bmp(p);
  if (p.begins("P", 1) && p.length > 2 && p.bytes[1] >= '1' && p.bytes[1] <= '6') return decode_pnm(p);
  return ONNXC_IMAGE_UNKNOWN;
}

void to_format(const uint8_t* rgb, int64_t pixels, int64_t format, uint8_t* to) {
  for (int64_t i = 0; i < pixels; ++i, rgb += 3) {
    if (format == ONNXC_IMAGE_GRAYSCALE) {
      to[i] = static_cast<uint8_t>((rgb[0] * 19595 + rgb[1] * 38470 + rgb[2] * 7471 + 0x8000) >> 16);
    } else {
      const uint8_t first = rgb[0];
      to[3 * i] = rgb[2];
      to[3 * i + 1] = rgb[1];
      to[3 * i + 2] = first;
    }
  }
}

}  // namespace

int32_t onnxc_images_dims(const uint8_t* bytes, int64_t length, int64_t* dims) try {
  Picture picture = {bytes, length, nullptr, 0, 0};
  const int32_t code = decode(picture);
  dims[0] = picture.height;
  dims[1] = picture.width;
  return code;
} catch (const std::bad_alloc&) {
  return ONNXC_IMAGE_NO_MEMORY;
}

int32_t onnxc_images_decode(const uint8_t* bytes, int64_t length, int64_t format, int64_t height, int64_t width,
                            uint8_t* pixels) try {
  Memory<uint8_t> colours;
  if (format == ONNXC_IMAGE_GRAYSCALE) {
    colours = allocate<uint8_t>(height * width * 3);
    if (!colours) return ONNXC_IMAGE_NO_MEMORY;
  }
  Picture picture = {bytes, length, colours ? colours.get() : pixels, height, width};
  const int32_t code = decode(picture);
  if (!code && format != ONNXC_IMAGE_RGB) to_format(picture.rgb, height * width, format, pixels);
  return code;
} catch (const std::bad_alloc&) {
  return ONNXC_IMAGE_NO_MEMORY;
}

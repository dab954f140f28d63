// Winograd convolution, 3×3 at stride 1: F(2×2) spends 16 multiplications where direct convolution spends 36, F(4×4) 36 for 144.
//
//     tiles of t×t pixels ── Bᵀ d B ──▶ V [ξ][tile][c] ── one product per point ξ ──▶ M [ξ][tile][o] ── Aᵀ M A + bias ──▶ m×m pixels
//
// A block of tiles is transformed into V, small enough to stay in the second-level cache; then panel by panel the weights U stream past once,
// as they lie: [panel][ξ][c][o]. Blocks are what threads share out: both read all weights, since sharing what nobody writes is cheaper than
// reading the other's fresh activations (192 → 192 channels at 14×14 on two cores: by output channel 195 µs, by tiles 161 µs).
#include <algorithm>

#include "ops/conv/dense.h"

namespace repconv {
namespace {

// G of both sizes: row j holds (1, a, a²) of point a over Π(a − other points); kernels/body/winograd.inl has Bᵀ and Aᵀ.
constexpr double kRoot = 1.41421356237309504880;
constexpr double kTransform2[4][3] = {{1, 0, 0}, {0.5, 0.5, 0.5}, {0.5, -0.5, 0.5}, {0, 0, 1}};
constexpr double kTransform4[6][3] = {
    {1, 0, 0}, {-2.0 / 3, -kRoot / 3, -1.0 / 3}, {-2.0 / 3, kRoot / 3, -1.0 / 3}, {1.0 / 6, kRoot / 6, 1.0 / 3}, {1.0 / 6, -kRoot / 6, 1.0 / 3}, {0, 0, 1}};

// V and M of one block: at most this share of the second-level cache (0.2 to 0.6 measured alike).
constexpr double kCacheShare = 0.4;
// Weights pass once a block: fewer tiles than this, and fetching them costs more than V outside of the cache.
constexpr int64_t kMinBlockTiles = 16, kMaxBlockTiles = 128;

// Products are summed in stretches of at most this many channels, and the stretches then: the error of a long sum is most of the error of F(4×4)
// (192 channels: 1.3e-6 rms in one stretch, 0.8e-6 in three).
constexpr int64_t kMaxStretch = 64;

int64_t tilesAlong(int64_t extent, int outputs) { return (extent + outputs - 1) / outputs; }

// Floats between one point and the next: an odd number of cache lines, so that the points of a tile fall into different cache sets.
ptrdiff_t pointStride(int64_t tiles, int64_t floats) {
  const size_t lineFloats = kCacheLineBytes / sizeof(float);
  const size_t lines = roundUp(static_cast<size_t>(tiles * floats), lineFloats) / lineFloats;
  return static_cast<ptrdiff_t>((lines | 1) * lineFloats);
}

int64_t blockTiles(int64_t channels, int points, int vectorLength) {
  const double bytesPerTile = static_cast<double>(points * (channels + kMaxPanelVectors * vectorLength)) * sizeof(float);
  return std::clamp<int64_t>(static_cast<int64_t>(kCacheShare * static_cast<double>(cpuInfo().l2Bytes) / bytesPerTile) / 8 * 8, kMinBlockTiles, kMaxBlockTiles);
}

class WinogradTask : public Task {
 public:
  WinogradTask(const ConvPlan& plan, PackedConv packed, int outputs)
      : in_(plan.in), out_(plan.out), packed_(std::move(packed)), geometry_(plan.geometry), outputs_(outputs), side_(outputs + 2) {
    if (plan.residual != nullptr) residual_ = *plan.residual;
    tilesDown_ = tilesAlong(geometry_.outH, outputs_);
    tilesAcross_ = tilesAlong(geometry_.outW, outputs_);
    const int64_t tiles = geometry_.N * tilesDown_ * tilesAcross_;
    const int64_t most = blockTiles(in_.pixel, points(), plan.context.kernels.vectorLength);
    const int64_t threads = plan.context.threads;
    // Whole rounds of equal blocks, and no block so small that a register tile stays empty.
    blocks_ = (tiles + most - 1) / most;
    blocks_ = std::min((blocks_ + threads - 1) / threads * threads, std::max<int64_t>((tiles + 3) / 4, 1));
    blockTiles_ = (tiles + blocks_ - 1) / std::max<int64_t>(blocks_, 1);
    inputStride_ = pointStride(blockTiles_, in_.pixel);
    for (const Panel& panel : packed_.plan.panels) panelFloats_ = std::max<int64_t>(panelFloats_, panel.vectors * plan.context.kernels.vectorLength);
    productStride_ = pointStride(blockTiles_, panelFloats_);
    stretches_ = (geometry_.channelsPerGroup() + kMaxStretch - 1) / kMaxStretch;
    const ptrdiff_t floats = points() * (inputStride_ + productStride_) + in_.pixel + panelFloats_;
    memberScratchBytes = roundUp(static_cast<size_t>(floats) * sizeof(float), kCacheLineBytes);
  }

  void run(const RunContext& context) const override {
    const int64_t tiles = geometry_.N * tilesDown_ * tilesAcross_;
    context.team.parallelFor(static_cast<size_t>(blocks_), [&](size_t item, int member) {
      const int64_t block = static_cast<int64_t>(item);
      computeBlock(context, tiles * block / blocks_, tiles * (block + 1) / blocks_, context.scratch<float>(member));
    });
    if (out_.border.isNone()) return;
    context.team.parallelFor(static_cast<size_t>(geometry_.N), [&](size_t n, int) {
      clearBorder(out_, context.output(), static_cast<int64_t>(n), 0, out_.H);
    });
  }

 private:
  struct Position {
    int64_t n, y, x;  // of the tile's first output
  };

  int points() const { return side_ * side_; }

  Position position(int64_t tile) const {
    const int64_t perImage = tilesDown_ * tilesAcross_;
    return {tile / perImage, tile % perImage / tilesAcross_ * outputs_, tile % tilesAcross_ * outputs_};
  }

  void computeBlock(const RunContext& context, int64_t begin, int64_t end, float* scratch) const {
    float* inputs = scratch;
    float* products = inputs + points() * inputStride_;
    float* zeros = products + points() * productStride_;
    std::fill_n(zeros, std::max<int64_t>(in_.pixel, panelFloats_), 0.0f);
    for (int64_t tile = begin; tile < end; tile++) transformInput(context, position(tile), zeros, inputs + (tile - begin) * in_.pixel);
    for (const Panel& panel : packed_.plan.panels) {
      multiply(context.kernels, panel, end - begin, inputs, zeros, products);
      for (int64_t tile = begin; tile < end; tile++) {
        transformOutput(context, panel, position(tile), products + (tile - begin) * panel.vectors * context.kernels.vectorLength);
      }
    }
    if (geometry_.attributes.epilogue.isClamp()) return;
    for (int64_t tile = begin; tile < end; tile++) activate(context, position(tile));
  }

  // Pixels beyond the padding are zeros that lie elsewhere.
  void transformInput(const RunContext& context, const Position& at, const float* zeros, float* to) const {
    const int64_t top = at.y - geometry_.attributes.padding[0], left = at.x - geometry_.attributes.padding[1];
    WinogradInput tile;
    tile.out = to;
    tile.pointStride = inputStride_;
    tile.channels = in_.pixel;
    for (int u = 0; u < side_; u++) {
      const int64_t y = top + u;
      const bool isRow = y < in_.H + in_.border.bottom;
      const float* row = in_.at(context.input(0), at.n, y, left);
      for (int v = 0; v < side_; v++) tile.taps[u * side_ + v] = isRow && left + v < in_.W + in_.border.right ? row + v * in_.pixel : zeros;
    }
    context.kernels.winogradInput[outputs_](tile);
  }

  void multiply(const KernelTable& kernels, const Panel& panel, int64_t tiles, const float* inputs, const float* zeros, float* products) const {
    const int64_t depth = geometry_.channelsPerGroup();
    const int width = panel.vectors * kernels.vectorLength;
    RunPattern pattern{{0}, 0, 0};
    Grid grid{};
    grid.inPixel = in_.pixel;
    grid.outPixel = grid.residualPixel = width;
    grid.rows = 1;
    grid.columns = tiles;
    for (int point = 0; point < points(); point++) {
      const float* weights = packed_.packed + panel.weightOffset + point * depth * width;
      grid.out = products + point * productStride_;
      grid.residual = nullptr;
      for (int64_t s = 0; s < stretches_; s++) {
        const int64_t begin = depth * s / stretches_, end = depth * (s + 1) / stretches_;
        grid.in = inputs + point * inputStride_ + panel.group * depth + begin;
        pattern.length = static_cast<int>(end - begin);
        computePanel(kernels, grid, pattern, {weights + begin * width, zeros, panel.vectors, kernels.vectorLength, weights + (begin + depth) * width}, Epilogue{});
        grid.residual = grid.out;
      }
    }
  }

  void transformOutput(const RunContext& context, const Panel& panel, const Position& at, const float* from) const {
    const Epilogue& epilogue = geometry_.attributes.epilogue;
    WinogradOutput tile;
    tile.in = from;
    tile.pointStride = productStride_;
    tile.bias = packed_.packed + packed_.plan.weightFloats + panel.biasOffset;
    tile.out = out_.at(context.output(), at.n, at.y, at.x) + panel.firstChannel;
    tile.outRow = out_.row;
    tile.outPixel = out_.pixel;
    const float* residual = context.inputs[3] != nullptr ? context.input(3) : nullptr;
    tile.residual = residual == nullptr ? nullptr : residual_.at(residual, at.n, at.y, at.x) + panel.firstChannel;
    tile.residualRow = residual_.row;
    tile.residualPixel = residual_.pixel;
    tile.vectors = panel.vectors;
    tile.rows = rowsAt(at);
    tile.columns = columnsAt(at);
    tile.low = epilogue.low();
    tile.high = epilogue.high();
    context.kernels.winogradOutput[outputs_](tile);
  }

  void activate(const RunContext& context, const Position& at) const {
    const Epilogue& epilogue = geometry_.attributes.epilogue;
    for (int y = 0; y < rowsAt(at); y++) {
      float* row = out_.at(context.output(), at.n, at.y + y, at.x);
      context.kernels.activate(epilogue.activation, epilogue.alpha, row, row, static_cast<size_t>(columnsAt(at) * out_.pixel));
    }
  }

  int rowsAt(const Position& at) const { return static_cast<int>(std::min<int64_t>(outputs_, geometry_.outH - at.y)); }
  int columnsAt(const Position& at) const { return static_cast<int>(std::min<int64_t>(outputs_, geometry_.outW - at.x)); }

  Image in_, out_, residual_;
  PackedConv packed_;
  ConvGeometry geometry_;
  int outputs_, side_;
  int64_t tilesDown_ = 0, tilesAcross_ = 0, stretches_ = 1, blocks_ = 0, blockTiles_ = 0, panelFloats_ = 0;
  ptrdiff_t inputStride_ = 0, productStride_ = 0;
};

// U = G g Gᵀ in float64, rounded once. A panel's channels are transformed together, so that they are also written together.
void packTransformed(const PanelPlan& plan, const ConvPlan& conv, const double (*transform)[3], int side, int vectorLength, float* packed) {
  const int64_t perGroup = conv.geometry.channelsPerGroup();
  constexpr int kMost = kMaxPanelVectors * 16;
  double kernel[9][kMost], half[6][3][kMost];
  std::fill_n(packed, plan.sizeBytes() / sizeof(float), 0.0f);
  for (const Panel& panel : plan.panels) {
    const int width = panel.vectors * vectorLength, channels = panel.channels;
    for (int64_t c = 0; c < perGroup; c++) {
      for (int o = 0; o < channels; o++) {
        for (int k = 0; k < 9; k++) kernel[k][o] = static_cast<double>(conv.weight[((panel.firstChannel + o) * perGroup + c) * 9 + k]);
      }
      for (int u = 0; u < side; u++) {
        for (int v = 0; v < 3; v++) {
          for (int o = 0; o < channels; o++) {
            half[u][v][o] = transform[u][0] * kernel[v][o] + transform[u][1] * kernel[3 + v][o] + transform[u][2] * kernel[6 + v][o];
          }
        }
      }
      for (int u = 0; u < side; u++) {
        for (int v = 0; v < side; v++) {
          float* to = packed + panel.weightOffset + ((u * side + v) * perGroup + c) * width;
          for (int o = 0; o < channels; o++) {
            to[o] = static_cast<float>(half[u][0][o] * transform[v][0] + half[u][1][o] * transform[v][1] + half[u][2][o] * transform[v][2]);
          }
        }
      }
    }
    if (conv.bias != nullptr) std::copy_n(conv.bias + panel.firstChannel, channels, packed + plan.weightFloats + panel.biasOffset);
  }
}

template <int kOutputs>
Result<std::unique_ptr<Task>> planWinograd(const ConvPlan& plan) {
  constexpr int side = kOutputs + 2;
  const ConvGeometry& geometry = plan.geometry;
  PackedConv result;
  result.plan = planPanels(plan.context.kernels, geometry.attributes.groups, geometry.outputsPerGroup(), side * side * geometry.channelsPerGroup());
  Result<const void*> packed = plan.context.packed(kOutputs == 2 ? "winograd2" : "winograd4", result.plan.sizeBytes(), [&](void* to) {
    packTransformed(result.plan, plan, kOutputs == 2 ? kTransform2 : kTransform4, side, plan.context.kernels.vectorLength, static_cast<float*>(to));
  });
  if (!packed.isOk()) return packed.status();
  result.packed = static_cast<const float*>(packed.value());
  return std::unique_ptr<Task>(new WinogradTask(plan, std::move(result), kOutputs));
}

// Whole vectors of channels go through the transforms: of the output too, unless its last panel ends in the room that rounds it up.
bool isWinograd(const ConvGeometry& geometry) {
  const ConvAttributes& a = geometry.attributes;
  const bool isKernel = geometry.K == 3 && geometry.L == 3 && a.stride[0] == 1 && a.stride[1] == 1 && a.dilation[0] == 1 && a.dilation[1] == 1;
  return isKernel && geometry.C >= kChannelBlock && (a.groups == 1 || geometry.outputsPerGroup() % kChannelBlock == 0);
}

template <int kOutputs>
double winogradCost(const ConvGeometry& geometry, const PlanContext& context) {
  const KernelTable& kernels = context.kernels;
  constexpr int points = (kOutputs + 2) * (kOutputs + 2);
  const int64_t tiles = tilesAlong(geometry.outH, kOutputs) * tilesAlong(geometry.outW, kOutputs) * geometry.N;
  const int64_t most = blockTiles(geometry.C, points, kernels.vectorLength);
  const int64_t blocks = std::max<int64_t>((tiles + most - 1) / most, 1);
  const double depth = static_cast<double>(points * geometry.channelsPerGroup());
  const double perBlock = tileRowCost(kernels, (tiles + blocks - 1) / blocks, geometry.outputsPerGroup()) * geometry.attributes.groups * depth;
  // The transforms: one load, one store and two or three additions for each number.
  const double moved = static_cast<double>(tiles * points) * static_cast<double>(4 * geometry.C + 3 * geometry.O) / kernels.vectorLength;
  return std::max(static_cast<double>(blocks) * perBlock, weightCost(kernels, points * geometry.O * geometry.channelsPerGroup())) + moved;
}

// Transforming one 3×3 kernel takes as long as 30 multiply-adds of vectors for F(4×4): 8 ns (EPYC, Zen 4).
template <int kOutputs>
double winogradPacking(const ConvGeometry& geometry) {
  return (kOutputs == 2 ? 15.0 : 30.0) * static_cast<double>(geometry.O * geometry.channelsPerGroup());
}

}  // namespace

const ConvAlgorithm kWinograd2Conv = {"winograd2", isWinograd, winogradCost<2>, planWinograd<2>, winogradPacking<2>};
const ConvAlgorithm kWinograd4Conv = {"winograd4", isWinograd, winogradCost<4>, planWinograd<4>, winogradPacking<4>};

}  // namespace repconv

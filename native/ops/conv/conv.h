// conv2d: geometry, and the contract of the algorithms that compute it.
#pragma once

#include <memory>

#include "ops/epilogue.h"
#include "ops/operation.h"

namespace repconv {

struct ConvAttributes {
  int stride[2] = {1, 1};
  int padding[4] = {0, 0, 0, 0};  // top, left, bottom, right; of zeros: other modes are a pad step before
  int dilation[2] = {1, 1};
  int groups = 1;
  Epilogue epilogue;
};

// Everything about one convolution that an algorithm may base its choice on.
struct ConvGeometry {
  ConvAttributes attributes;
  int64_t N, C, H, W;
  int64_t O, K, L;  // output channels, kernel rows and columns
  int64_t outH, outW;

  int64_t channelsPerGroup() const { return C / attributes.groups; }
  int64_t outputsPerGroup() const { return O / attributes.groups; }
  int64_t taps() const { return K * L; }
  double macs() const {
    return static_cast<double>(N * O * outH * outW) * static_cast<double>(taps() * channelsPerGroup());
  }
  // Output rows that need no border, plus what the padding adds: zeros the input must carry.
  Border border() const;
};

struct ConvPlan {
  const PlanContext& context;
  ConvGeometry geometry;
  Image in, out;
  const Image* residual;  // null: none
  const float* weight;  // [O, C/G, K, L]
  const float* bias;  // or null
};

struct ConvAlgorithm {
  const char* name;
  bool (*fits)(const ConvGeometry& geometry);
  // Estimated time, in multiply-add instructions of one vector; compared between algorithms only. Follows from shape
  // and kernels.
  double (*cost)(const ConvGeometry& geometry, const PlanContext& context);
  Result<std::unique_ptr<Task>> (*plan)(const ConvPlan& plan);
  // What the session must have been asked to compute in.
  Precision precision = Precision::float32;
  // How it reads its image.
  Format format = Format::float32;
};

extern const ConvAlgorithm kPointwiseConv;
extern const ConvAlgorithm kDepthwiseConv;
extern const ConvAlgorithm kDirectConv;
extern const ConvAlgorithm kIm2colConv;
extern const ConvAlgorithm kWinograd2Conv;
extern const ConvAlgorithm kWinograd4Conv;
extern const ConvAlgorithm kBfloat16Conv;
extern const ConvAlgorithm kBfloat16x3Conv;

// Whether there is an algorithm of this name to force.
Status checkConvName(const std::string& name);

struct ConvChoice {
  const ConvAlgorithm* algorithm = nullptr;
  std::vector<Estimate> estimates;  // of all that fit; none where one was forced
  bool isForced = false;
};

// The forced algorithm, or the cheapest that fits.
ConvChoice chooseConv(const ConvGeometry& geometry, const PlanContext& context);

// Cost of `pixels` outputs in a row of tiles, per product (k).
double tileRowCost(const KernelTable& kernels, int64_t pixels, int64_t channels);

// Cost of fetching weights that no cache holds: what a product costs at least, however few its pixels.
double weightCost(const KernelTable& kernels, int64_t weights);

}  // namespace repconv

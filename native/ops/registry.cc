// All operations by the name a program calls them. A new one is its file and its row here.
#include "ops/operation.h"

namespace repconv {

Result<std::unique_ptr<Operation>> makeActivation(const Attributes&);
Result<std::unique_ptr<Operation>> makeAdd(const Attributes&);
Result<std::unique_ptr<Operation>> makeBatchNorm(const Attributes&);
Result<std::unique_ptr<Operation>> makeBatchNormTraining(const Attributes&);
Result<std::unique_ptr<Operation>> makeCompareAnswers(const Attributes&);
Result<std::unique_ptr<Operation>> makeConcat(const Attributes&);
Result<std::unique_ptr<Operation>> makeContractChannels(const Attributes&);
Result<std::unique_ptr<Operation>> makeConv2d(const Attributes&);
Result<std::unique_ptr<Operation>> makeConvTranspose2d(const Attributes&);
Result<std::unique_ptr<Operation>> makeLinear(const Attributes&);
Result<std::unique_ptr<Operation>> makeMul(const Attributes&);
Result<std::unique_ptr<Operation>> makeNormalizeBytes(const Attributes&);
Result<std::unique_ptr<Operation>> makePad(const Attributes&);
Result<std::unique_ptr<Operation>> makePool(const Attributes&);
Result<std::unique_ptr<Operation>> makePrelu(const Attributes&);
Result<std::unique_ptr<Operation>> makeReshape(const Attributes&);
Result<std::unique_ptr<Operation>> makeSoftmax(const Attributes&);
Result<std::unique_ptr<Operation>> makeSumKernels(const Attributes&);
Result<std::unique_ptr<Operation>> makeToNhwc(const Attributes&);
Result<std::unique_ptr<Operation>> makeToPlain(const Attributes&);

namespace {

struct Row {
  const char* name;
  OperationFactory make;
};

constexpr Row kOperations[] = {
    {"activation", makeActivation},
    {"add", makeAdd},
    {"batchNorm", makeBatchNorm},
    {"batchNormTraining", makeBatchNormTraining},
    {"compareAnswers", makeCompareAnswers},
    {"concat", makeConcat},
    {"contractChannels", makeContractChannels},
    {"conv2d", makeConv2d},
    {"convTranspose2d", makeConvTranspose2d},
    {"linear", makeLinear},
    {"mul", makeMul},
    {"normalizeBytes", makeNormalizeBytes},
    {"pad", makePad},
    {"pool", makePool},
    {"prelu", makePrelu},
    {"reshape", makeReshape},
    {"softmax", makeSoftmax},
    {"sumKernels", makeSumKernels},
    {"toNhwc", makeToNhwc},
    {"toPlain", makeToPlain},
};

}  // namespace

Result<std::unique_ptr<Operation>> makeOperation(const std::string& name, const Attributes& attributes) {
  for (const Row& row : kOperations) {
    if (name == row.name) return row.make(attributes);
  }
  return failure(Code::unsupported, "program: unknown operation %.40s", name.c_str());
}

}  // namespace repconv

#include "addon/program_reader.h"

namespace repconv {
namespace {

Status readValue(const Napi::Object& object, ProgramValue* value) {
  ObjectReader reader(object, "program value");
  const std::string dtype = reader.text("dtype"), layout = reader.text("layout");
  if (dtype != "float32" && dtype != "float64" && dtype != "uint8") reader.fail("dtype", "float32, float64 or uint8");
  if (layout != "plain" && layout != "nhwc") reader.fail("layout", "plain or nhwc");
  value->dtype = dtype == "float64" ? DType::float64 : dtype == "uint8" ? DType::uint8 : DType::float32;
  value->layout = layout == "nhwc" ? Layout::nhwc : Layout::plain;
  const Napi::Value data = reader.value("data");
  if (data.IsUndefined()) return reader.status();
  int64_t size = 1;
  for (double extent : reader.numbers("shape")) {
    value->shape.push_back(extent >= 0 && extent <= static_cast<double>(kMaxExtent) ? static_cast<int64_t>(extent)
                                                                                    : -1);
  }
  if (Status status = checkShape(value->shape); !status.isOk()) return status;
  for (int64_t extent : value->shape) size *= extent;
  ArrayView view;
  const bool isRight = readTypedArray(data, &view) && view.elementBytes == elementBytes(value->dtype) &&
                       view.length == static_cast<size_t>(size);
  if (!isRight) reader.fail("data", "a typed array of the value's dtype and size (has it been detached?)");
  static const double nothing = 0;
  value->constant = view.data != nullptr ? view.data : &nothing;
  const Napi::Value isPrivate = reader.value("isPrivate");
  value->isPrivate = isPrivate.IsBoolean() && isPrivate.As<Napi::Boolean>().Value();
  return reader.status();
}

Status readStep(const Napi::Object& object, ProgramStep* step) {
  ObjectReader reader(object, "program step");
  step->name = reader.text("operation");
  step->label = reader.text("label", true);
  step->inputs = reader.indices("inputs");
  step->outputs = reader.indices("outputs");
  const Napi::Value attributes = reader.value("attributes");
  if (!attributes.IsObject()) reader.fail("attributes", "an object");
  if (!reader.isOk()) return reader.status();
  Attributes all(step->name);
  const Napi::Object from = attributes.As<Napi::Object>();
  const Napi::Array names = from.GetPropertyNames();
  for (uint32_t i = 0; i < names.Length(); i++) {
    Attribute attribute;
    attribute.name = names.Get(i).As<Napi::String>().Utf8Value();
    const Napi::Value value = from.Get(attribute.name);
    if (value.Env().IsExceptionPending()) value.Env().GetAndClearPendingException();
    if (!value.IsEmpty() && value.IsString()) {
      attribute.word = value.As<Napi::String>().Utf8Value();
    } else if (!value.IsEmpty() && value.IsNumber()) {
      attribute.numbers = {value.As<Napi::Number>().DoubleValue()};
    } else if (value.IsEmpty() || !readNumbers(value, &attribute.numbers)) {
      reader.fail(attribute.name.c_str(), "a number, a word or a list of numbers");
      return reader.status();
    }
    all.add(std::move(attribute));
  }
  Result<std::unique_ptr<Operation>> operation = makeOperation(step->name, all);
  if (!operation.isOk()) return operation.status();
  step->operation = std::move(operation.value());
  return Status();
}

}  // namespace

Result<Program> readProgram(Napi::Value value) {
  if (!value.IsObject()) return failure(Code::input, "program: expects an object");
  ObjectReader reader(value.As<Napi::Object>(), "program");
  Program program;
  for (const Napi::Object& object : reader.objects("values", kMaxValues)) {
    ProgramValue entry;
    if (Status status = readValue(object, &entry); !status.isOk()) return status;
    program.values.push_back(std::move(entry));
  }
  for (const Napi::Object& object : reader.objects("steps", kMaxValues)) {
    ProgramStep step;
    if (Status status = readStep(object, &step); !status.isOk()) return status;
    program.steps.push_back(std::move(step));
  }
  program.inputs = reader.indices("inputs");
  program.outputs = reader.indices("outputs");
  if (!reader.isOk()) return reader.status();
  return program;
}

}  // namespace repconv

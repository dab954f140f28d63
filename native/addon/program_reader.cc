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

// The names of an object's own properties, not of its prototypes'; false where they cannot be listed.
bool readNames(const Napi::Object& object, Napi::Array* names) {
  const Napi::Env env = object.Env();
  const auto wanted = static_cast<napi_key_filter>(napi_key_enumerable | napi_key_skip_symbols);
  napi_value listed = nullptr;
  const napi_status status =
      napi_get_all_property_names(env, object, napi_key_own_only, wanted, napi_key_numbers_to_strings, &listed);
  if (env.IsExceptionPending()) env.GetAndClearPendingException();
  if (status == napi_ok) *names = Napi::Array(env, listed);
  return status == napi_ok;
}

Status readStep(const Napi::Object& object, ProgramStep* step) {
  ObjectReader reader(object, "program step");
  step->name = reader.text("operation");
  step->label = reader.text("label", true);
  step->inputs = reader.indices("inputs");
  step->outputs = reader.indices("outputs");
  const Napi::Value attributes = reader.value("attributes");
  Napi::Array names;
  if (!attributes.IsObject() || !readNames(attributes.As<Napi::Object>(), &names))
    reader.fail("attributes", "an object");
  if (!reader.isOk()) return reader.status();
  Attributes all(step->name);
  for (uint32_t i = 0; i < names.Length(); i++) {
    const Napi::String name = names.Get(i).As<Napi::String>();
    const Napi::Value value = ownProperty(attributes.As<Napi::Object>(), name);
    Attribute attribute;
    attribute.name = name.Utf8Value();
    if (value.IsString()) {
      attribute.word = value.As<Napi::String>().Utf8Value();
    } else if (value.IsNumber()) {
      attribute.numbers = {value.As<Napi::Number>().DoubleValue()};
    } else if (!readNumbers(value, &attribute.numbers)) {
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

#include "addon/convert.h"

#include <cmath>

namespace repconv {
namespace {

const char* codeName(Code code) {
  switch (code) {
    case Code::ok:
    case Code::native:
      return "ERR_NATIVE";
    case Code::input:
      return "ERR_INPUT";
    case Code::shape:
      return "ERR_SHAPE";
    case Code::unsupported:
      return "ERR_UNSUPPORTED";
    case Code::disposed:
      return "ERR_DISPOSED";
    case Code::limit:
      return "ERR_LIMIT";
    case Code::outOfMemory:
      return "ERR_OOM";
    case Code::aborted:
      return "ABORT_ERR";
  }
  return "ERR_NATIVE";
}

}  // namespace

Napi::Value ownProperty(const Napi::Object& object, Napi::String key) {
  const Napi::Env env = object.Env();
  const Napi::Value value = object.HasOwnProperty(key) ? object.Get(key) : env.Undefined();
  if (!env.IsExceptionPending()) return value;
  env.GetAndClearPendingException();
  return env.Undefined();
}

Napi::Error toError(Napi::Env env, const Status& status) {
  Napi::Error error = Napi::Error::New(env, status.message());
  put(error.Value(), "code", codeName(status.code()));
  return error;
}

void ObjectReader::fail(const char* key, const char* expected) {
  if (status_.isOk()) status_ = failure(Code::input, "%s: %s expects %s", what_.c_str(), key, expected);
}

Napi::Value ObjectReader::value(const char* key) { return ownProperty(object_, Napi::String::New(object_.Env(), key)); }

std::string ObjectReader::text(const char* key, bool isOptional) {
  const Napi::Value found = value(key);
  if (found.IsUndefined() && isOptional) return {};
  if (!found.IsString()) {
    fail(key, "text");
    return {};
  }
  return found.As<Napi::String>().Utf8Value();
}

double ObjectReader::number(const char* key, double fallback) {
  const Napi::Value found = value(key);
  if (found.IsUndefined()) return fallback;
  if (!found.IsNumber()) {
    fail(key, "a number");
    return fallback;
  }
  return found.As<Napi::Number>().DoubleValue();
}

std::vector<double> ObjectReader::numbers(const char* key) {
  std::vector<double> result;
  if (!readNumbers(value(key), &result)) fail(key, "a list of numbers");
  return result;
}

std::vector<int> ObjectReader::indices(const char* key) {
  std::vector<int> result;
  for (double number : numbers(key)) {
    if (!(number >= -1 && number <= 0x7fffffff && number == std::trunc(number))) {
      fail(key, "a list of indices");
      break;
    }
    result.push_back(static_cast<int>(number));
  }
  return result;
}

std::vector<Napi::Object> ObjectReader::objects(const char* key, size_t most) {
  std::vector<Napi::Object> result;
  const Napi::Value found = value(key);
  if (!found.IsArray()) {
    fail(key, "a list of objects");
    return result;
  }
  const Napi::Array array = found.As<Napi::Array>();
  if (array.Length() > most) {
    status_ = failure(Code::limit, "%s: %u %s, more than %zu", what_.c_str(), array.Length(), key, most);
    return result;
  }
  for (uint32_t i = 0; i < array.Length(); i++) {
    const Napi::Value element = array.Get(i);
    if (object_.Env().IsExceptionPending()) object_.Env().GetAndClearPendingException();
    if (element.IsEmpty() || !element.IsObject()) {
      fail(key, "a list of objects");
      return {};
    }
    result.push_back(element.As<Napi::Object>());
  }
  return result;
}

bool readNumbers(Napi::Value value, std::vector<double>* numbers) {
  if (value.IsTypedArray() && value.As<Napi::TypedArray>().TypedArrayType() == napi_int32_array) {
    const Napi::Int32Array array = value.As<Napi::Int32Array>();
    numbers->assign(array.Data(), array.Data() + array.ElementLength());
    return true;
  }
  if (!value.IsArray()) return false;
  const Napi::Array array = value.As<Napi::Array>();
  for (uint32_t i = 0; i < array.Length(); i++) {
    const Napi::Value element = array.Get(i);
    if (value.Env().IsExceptionPending()) value.Env().GetAndClearPendingException();
    if (element.IsEmpty() || !element.IsNumber()) return false;
    numbers->push_back(element.As<Napi::Number>().DoubleValue());
  }
  return true;
}

Status readShapes(Napi::Value value, std::vector<std::vector<int64_t>>* shapes) {
  const Status wrong(Code::input, "plan: shapes expects a list of lists of whole numbers");
  if (!value.IsArray()) return wrong;
  const Napi::Array array = value.As<Napi::Array>();
  for (uint32_t i = 0; i < array.Length(); i++) {
    std::vector<double> numbers;
    const Napi::Value element = array.Get(i);
    if (value.Env().IsExceptionPending()) value.Env().GetAndClearPendingException();
    if (element.IsEmpty() || !readNumbers(element, &numbers)) return wrong;
    std::vector<int64_t> shape;
    for (double extent : numbers) {
      if (!(extent >= 0 && extent <= 0x7fffffff && extent == std::trunc(extent))) return wrong;
      shape.push_back(static_cast<int64_t>(extent));
    }
    shapes->push_back(std::move(shape));
  }
  return Status();
}

bool readTypedArray(Napi::Value value, ArrayView* view) {
  if (!value.IsTypedArray()) return false;
  napi_typedarray_type type;
  napi_value buffer;
  size_t offset;
  if (napi_get_typedarray_info(value.Env(), value, &type, &view->length, &view->data, &buffer, &offset) != napi_ok)
    return false;
  view->elementBytes = type == napi_float64_array ? 8 : type == napi_uint8_array ? 1 : 4;
  return type == napi_float64_array || type == napi_float32_array || type == napi_uint8_array;
}

}  // namespace repconv

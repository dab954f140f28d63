// Between JavaScript values and native ones. Everything that comes in is checked here; nothing throws.
#pragma once

#include <napi.h>

#include <string>
#include <vector>

#include "core/status.h"

namespace repconv {

// A JavaScript Error whose `code` and `message` are the status'; an abort is marked by its code. lib/engine makes a
// RepconvError of it.
Napi::Error toError(Napi::Env env, const Status& status);

// The value of a property that the object itself has, undefined where it has none: what a program put on
// Object.prototype is nobody's argument. Getters and proxies may throw; what they threw counts as undefined.
Napi::Value ownProperty(const Napi::Object& object, Napi::String key);

// Gives an object a property of its own, where assigning to it could end at a prototype's: read-only, or a setter.
template <typename T>
void put(Napi::Object object, const char* key, const T& value) {
  object.DefineProperty(
      Napi::PropertyDescriptor::Value(key, Napi::Value::From(object.Env(), value), napi_default_jsproperty));
}

// Reads one JavaScript object, remembering the first thing that is wrong with it.
class ObjectReader {
 public:
  ObjectReader(Napi::Object object, std::string what) : object_(object), what_(std::move(what)) {}

  const Status& status() const { return status_; }
  bool isOk() const { return status_.isOk(); }

  // Values of a property; an absent one gives an empty result where it may be absent, and an error elsewhere.
  std::string text(const char* key, bool isOptional = false);
  double number(const char* key, double fallback);
  std::vector<double> numbers(const char* key);
  std::vector<int> indices(const char* key);
  // No more than `most`, which is looked at first.
  std::vector<Napi::Object> objects(const char* key, size_t most);
  Napi::Value value(const char* key);
  void fail(const char* key, const char* expected);

 private:
  Napi::Object object_;
  std::string what_;
  Status status_;
};

// Numbers of a JavaScript array, or of an Int32Array; false if it is something else.
bool readNumbers(Napi::Value value, std::vector<double>* numbers);

// Shapes: an array of arrays of whole numbers.
Status readShapes(Napi::Value value, std::vector<std::vector<int64_t>>* shapes);

struct ArrayView {
  void* data = nullptr;
  size_t length = 0;
  size_t elementBytes = 0;
};

// The memory of a Float32Array, Float64Array or Uint8Array as it is now (a detached one has length 0).
bool readTypedArray(Napi::Value value, ArrayView* view);

}  // namespace repconv

// What can go wrong inside, as a value: native code neither throws nor prints. Only the addon turns a Status into a
// JavaScript error.
#pragma once

#include <cstdarg>
#include <string>
#include <utility>

namespace repconv {

// The codes of RepconvError (lib/errors.ts) that native code can return, and abort, which becomes an AbortError.
enum class Code { ok, input, shape, unsupported, disposed, limit, outOfMemory, native, aborted };

class [[nodiscard]] Status {
 public:
  Status() = default;
  Status(Code code, std::string message) : code_(code), message_(std::move(message)) {}

  bool isOk() const { return code_ == Code::ok; }
  Code code() const { return code_; }
  const std::string& message() const { return message_; }

 private:
  Code code_ = Code::ok;
  std::string message_;
};

// Takes no memory: so short a message lies in the string itself.
inline Status outOfMemory() { return Status(Code::outOfMemory, "out of memory"); }

// A Status with a message in printf's manner.
#if defined(__GNUC__)
__attribute__((format(printf, 2, 3)))
#endif
Status
failure(Code code, const char* format, ...);

// A value, or why there is none.
template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value) : value_(std::move(value)) {}
  Result(Status status) : status_(std::move(status)) {}

  bool isOk() const { return status_.isOk(); }
  const Status& status() const { return status_; }
  T& value() { return value_; }
  const T& value() const { return value_; }

 private:
  Status status_;
  T value_{};
};

}  // namespace repconv

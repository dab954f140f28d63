#include "core/status.h"

#include <cstdio>

namespace repconv {

Status failure(Code code, const char* format, ...) {
  char text[512];
  va_list arguments;
  va_start(arguments, format);
  std::vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  return Status(code, text);
}

}  // namespace repconv

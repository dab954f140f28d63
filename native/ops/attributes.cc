#include "ops/attributes.h"

#include <cmath>

namespace repconv {

const Attribute* Attributes::find(const char* name) const {
  for (const Attribute& attribute : all_) {
    if (attribute.name == name) return &attribute;
  }
  return nullptr;
}

Status Attributes::list(const char* name, int64_t least, std::vector<int64_t>* values) const {
  const Attribute* attribute = find(name);
  if (attribute == nullptr) return Status();
  for (double value : attribute->numbers) {
    if (!(value >= static_cast<double>(least) && value <= kMaxAttribute && value == std::trunc(value))) {
      return failure(Code::input, "%s: %s expects whole numbers from %lld to 2^24", operation_.c_str(), name,
                     static_cast<long long>(least));
    }
    values->push_back(static_cast<int64_t>(value));
  }
  return Status();
}

Status Attributes::integers(const char* name, int count, int64_t least, int* values) const {
  std::vector<int64_t> all;
  if (Status status = list(name, least, &all); !status.isOk()) return status;
  if (find(name) == nullptr) return Status();
  if (all.size() != static_cast<size_t>(count))
    return failure(Code::input, "%s: %s expects %d number(s), got %zu", operation_.c_str(), name, count, all.size());
  for (int i = 0; i < count; i++) values[i] = static_cast<int>(all[i]);
  return Status();
}

Status Attributes::number(const char* name, double* value) const {
  const Attribute* attribute = find(name);
  if (attribute == nullptr) return Status();
  if (attribute->numbers.size() != 1)
    return failure(Code::input, "%s: %s expects one number", operation_.c_str(), name);
  *value = attribute->numbers[0];
  return Status();
}

Status Attributes::word(const char* name, const std::vector<const char*>& words, int* index) const {
  const Attribute* attribute = find(name);
  if (attribute == nullptr) return Status();
  for (size_t i = 0; i < words.size(); i++) {
    if (attribute->word != words[i]) continue;
    *index = static_cast<int>(i);
    return Status();
  }
  return failure(Code::unsupported, "%s: unknown %s %.40s", operation_.c_str(), name, attribute->word.c_str());
}

}  // namespace repconv

// Attributes of a step as the program states them: names with numbers or a word.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "core/status.h"

namespace repconv {

struct Attribute {
  std::string name;
  std::vector<double> numbers;
  std::string word;
};

// Strides, paddings, groups, taps: small enough that no address computed from one can overflow.
inline constexpr double kMaxAttribute = 16777216;

class Attributes {
 public:
  explicit Attributes(std::string operation = {}) : operation_(std::move(operation)) {}

  void add(Attribute attribute) { all_.push_back(std::move(attribute)); }

  // Whole numbers of at least `least`, exactly `count` of them. Missing ones leave `values` as they are.
  Status integers(const char* name, int count, int64_t least, int* values) const;
  // Any number of them.
  Status list(const char* name, int64_t least, std::vector<int64_t>* values) const;
  Status number(const char* name, double* value) const;
  // Sets *index to the place of the attribute's word in `words`.
  Status word(const char* name, const std::vector<const char*>& words, int* index) const;

 private:
  const Attribute* find(const char* name) const;

  std::string operation_;
  std::vector<Attribute> all_;
};

}  // namespace repconv

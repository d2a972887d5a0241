#pragma once

#include <map>
#include <random>
#include <string>
#include <vector>

namespace gannet::chaos {

// Coverage of the injected faults: how often each process was killed, each failpoint hit, each
// outcome seen.
//
// Thread safety: none.
class FaultCoverage {
 public:
  // A cell that must reach `least` before the test passes. Cells nobody asked for are shown, too.
  void Require(const std::string& section, const std::string& cell, int least);

  void Set(const std::string& section, const std::string& cell, int count);
  void Add(const std::string& section, const std::string& cell, int count = 1) {
    counts_[section][cell] += count;
  }
  int Get(const std::string& section, const std::string& cell) const;

  bool IsBelowTarget(const std::string& section, const std::string& cell) const;

  // The cell of a section with the smallest count, any of equals; empty when it has none.
  std::string LeastCovered(const std::string& section, std::mt19937_64& random) const;

  // "section cell 1 of 3" for every cell that falls short.
  std::vector<std::string> Missing() const;

  // For people, a line a cell.
  std::string ToString() const;

 private:
  std::map<std::string, std::map<std::string, int>> counts_;
  std::map<std::string, std::map<std::string, int>> required_;
};

}  // namespace gannet::chaos

#include "cli/latent_path.h"

#include <algorithm>
#include <cmath>

namespace gannet::cli {
namespace {

// Below this angle the straight line is as good, and sin(angle) no divisor.
constexpr double kSmallAngle = 1e-6;

double Dot(const gan::Latent& a, const gan::Latent& b) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) sum += double{a[i]} * b[i];
  return sum;
}

gan::Latent Between(const gan::Latent& a, const gan::Latent& b, double t) {
  const double lengths = std::sqrt(Dot(a, a) * Dot(b, b));
  const double cosine = lengths > 0 ? std::clamp(Dot(a, b) / lengths, -1.0, 1.0) : 1.0;
  const double angle = std::acos(cosine);
  double share_a = 1 - t, share_b = t;
  if (std::sin(angle) > kSmallAngle) {
    share_a = std::sin((1 - t) * angle) / std::sin(angle);
    share_b = std::sin(t * angle) / std::sin(angle);
  }
  gan::Latent point(a.size());
  for (size_t i = 0; i < a.size(); ++i) {
    point[i] = static_cast<float>(share_a * a[i] + share_b * b[i]);
  }
  return point;
}

// The standard normal distribution function.
double NormalBelow(double x) { return 0.5 * std::erfc(-x / std::sqrt(2.0)); }

// The x in [-threshold, threshold] below which the cut distribution has the share `rank`.
double CutQuantile(double rank, double threshold) {
  double low = -threshold, high = threshold;
  const double start = NormalBelow(low), whole = NormalBelow(high) - start;
  for (int i = 0; i < 60; ++i) {
    const double middle = (low + high) / 2;
    ((NormalBelow(middle) - start) / whole < rank ? low : high) = middle;
  }
  return (low + high) / 2;
}

}  // namespace

void TruncateLatent(double threshold, gan::Latent& latent) {
  for (float& value : latent) {
    value = static_cast<float>(CutQuantile(NormalBelow(value), threshold));
  }
}

std::vector<gan::Latent> ClosedPath(const std::vector<gan::Latent>& keys, int steps) {
  std::vector<gan::Latent> path;
  for (size_t key = 0; key < keys.size(); ++key) {
    const gan::Latent& next = keys[(key + 1) % keys.size()];
    for (int step = 0; step < steps; ++step) {
      path.push_back(Between(keys[key], next, static_cast<double>(step) / steps));
    }
  }
  return path;
}

}  // namespace gannet::cli

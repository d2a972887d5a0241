#include "cli/curves_svg.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/string_view.h"

namespace gannet::cli {
namespace {

constexpr double kWidth = 800;
constexpr double kPanelHeight = 240;
constexpr double kLeft = 60;
constexpr double kRight = 20;
constexpr double kTop = 34;
constexpr double kBottom = 36;
constexpr size_t kMaxPoints = 400;
constexpr int kTicks = 5;

// Two of Okabe and Ito's colours, which people with any colour vision tell apart.
constexpr char kBlue[] = "#0072b2";
constexpr char kOrange[] = "#d55e00";

struct Curve {
  absl::string_view name;
  absl::string_view colour;
  double exchange::RoundSummary::*value;
};

struct Point {
  double round = 0;
  double value = 0;
};

std::vector<Point> Thinned(const std::vector<exchange::RoundSummary>& rounds,
                           double exchange::RoundSummary::*value) {
  const size_t step = (rounds.size() + kMaxPoints - 1) / kMaxPoints;
  std::vector<Point> points;
  for (size_t first = 0; first < rounds.size(); first += step) {
    const size_t last = std::min(first + step, rounds.size());
    Point mean;
    for (size_t i = first; i < last; ++i) {
      mean.round += static_cast<double>(rounds[i].round.value());
      mean.value += rounds[i].*value;
    }
    const auto count = static_cast<double>(last - first);
    points.push_back({mean.round / count, mean.value / count});
  }
  return points;
}

// 1, 2 or 5 times a power of ten, at least `least`.
double RoundStep(double least) {
  if (!(least > 0)) return 1;
  const double power = std::pow(10, std::floor(std::log10(least)));
  for (const double factor : {1.0, 2.0, 5.0}) {
    if (factor * power >= least) return factor * power;
  }
  return 10 * power;
}

struct Axis {
  double low = 0;
  double high = 1;
  double step = 0.2;
};

Axis AxisOver(double low, double high) {
  Axis axis;
  axis.step = RoundStep((high - low) / kTicks);
  axis.low = std::floor(low / axis.step) * axis.step;
  axis.high = std::max(std::ceil(high / axis.step) * axis.step, axis.low + axis.step);
  return axis;
}

void AppendPanel(const std::vector<exchange::RoundSummary>& rounds, absl::string_view title,
                 const std::vector<Curve>& curves, double top, std::string& svg) {
  double low = 0, high = 0;
  std::vector<std::vector<Point>> points;
  for (const Curve& curve : curves) {
    for (const Point& point : points.emplace_back(Thinned(rounds, curve.value))) {
      low = std::min(low, point.value);
      high = std::max(high, point.value);
    }
  }
  const Axis y = AxisOver(low, high);
  const Axis x = AxisOver(0, rounds.empty() ? 1 : static_cast<double>(rounds.back().round.value()));
  const double height = kPanelHeight - kTop - kBottom;
  const double width = kWidth - kLeft - kRight;
  const auto place_x = [&](double v) { return kLeft + width * (v - x.low) / (x.high - x.low); };
  const auto place_y = [&](double v) {
    return top + kTop + height * (1 - (v - y.low) / (y.high - y.low));
  };
  absl::StrAppendFormat(&svg, "<text x=\"%g\" y=\"%g\" font-weight=\"bold\">%s</text>\n", kLeft,
                        top + 20, title);
  double legend = kLeft + 220;
  for (const Curve& curve : curves) {
    absl::StrAppendFormat(&svg,
                          "<rect x=\"%g\" y=\"%g\" width=\"14\" height=\"4\" fill=\"%s\"/>"
                          "<text x=\"%g\" y=\"%g\">%s</text>\n",
                          legend, top + 14, curve.colour, legend + 20, top + 20, curve.name);
    legend += 160;
  }
  for (double v = y.low; v <= y.high + y.step / 2; v += y.step) {
    absl::StrAppendFormat(&svg,
                          "<line x1=\"%g\" x2=\"%g\" y1=\"%.1f\" y2=\"%.1f\" stroke=\"#ddd\"/>"
                          "<text x=\"%g\" y=\"%.1f\" text-anchor=\"end\">%g</text>\n",
                          kLeft, kWidth - kRight, place_y(v), place_y(v), kLeft - 6, place_y(v) + 4,
                          std::abs(v) < y.step / 1000 ? 0 : v);
  }
  for (double v = x.low; v <= x.high + x.step / 2; v += x.step) {
    absl::StrAppendFormat(&svg, "<text x=\"%.1f\" y=\"%g\" text-anchor=\"middle\">%.0f</text>\n",
                          place_x(v), top + kPanelHeight - kBottom + 18, v);
  }
  for (size_t i = 0; i < curves.size(); ++i) {
    absl::StrAppend(&svg, "<polyline fill=\"none\" stroke-width=\"1.5\" stroke=\"",
                    curves[i].colour, "\" points=\"");
    for (const Point& point : points[i]) {
      absl::StrAppendFormat(&svg, "%.1f,%.1f ", place_x(point.round), place_y(point.value));
    }
    absl::StrAppend(&svg, "\"/>\n");
  }
}

}  // namespace

std::string CurvesSvg(const std::vector<exchange::RoundSummary>& rounds) {
  std::string svg = absl::StrFormat(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%g\" height=\"%g\" viewBox=\"0 0 %g "
      "%g\" font-family=\"sans-serif\" font-size=\"12\">\n"
      "<rect width=\"100%%\" height=\"100%%\" fill=\"white\"/>\n",
      kWidth, 2 * kPanelHeight, kWidth, 2 * kPanelHeight);
  AppendPanel(rounds, "Loss per update",
              {{"discriminator", kBlue, &exchange::RoundSummary::discriminator_loss},
               {"generator", kOrange, &exchange::RoundSummary::generator_loss}},
              0, svg);
  AppendPanel(rounds, "Discriminator's accuracy",
              {{"on real images", kBlue, &exchange::RoundSummary::real_accuracy},
               {"on generated ones", kOrange, &exchange::RoundSummary::fake_accuracy}},
              kPanelHeight, svg);
  absl::StrAppend(&svg, "</svg>\n");
  return svg;
}

}  // namespace gannet::cli

#include "search/svg.h"

#include <algorithm>
#include <cmath>

#include "engine/status.h"
#include "search/flags.h"

namespace rhnas::search {

using engine::Format;

std::string Escaped(const std::string& text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      case '\n':
        out += "&#10;";
        break;
      default:
        out += static_cast<unsigned char>(c) < 32 ? '?' : c;
    }
  }
  return out;
}

std::string Coordinate(double value) {
  if (!(std::fabs(value) < 1e9)) return "0";
  return NumberText(std::round(value * 10) / 10 + 0.0);  // + 0.0: no "-0"
}

std::string Attribute(const char* name, double value) {
  return std::string(" ") + name + "=\"" + Coordinate(value) + "\"";
}

std::string ShortNumber(double value) {
  if (!std::isfinite(value)) return "-";
  const double size = std::fabs(value);
  if (size == 0) return "0";
  constexpr const char* kSuffixes[] = {"", " k", " M", " G", " T", " P", " E"};
  size_t suffix = 0;
  double scaled = value;
  while (std::fabs(scaled) >= 9999.5 || (suffix > 0 && std::fabs(scaled) >= 999.5)) {
    if (suffix == 6) break;
    scaled /= 1000;
    ++suffix;
  }
  const double digits = std::pow(10, 2 - std::floor(std::log10(std::fabs(scaled))));
  if (std::fabs(scaled) < 1000) scaled = std::round(scaled * digits) / digits;
  return NumberText(std::fabs(scaled) < 1000 ? scaled : std::round(scaled)) + kSuffixes[suffix];
}

Axis Axis::Around(const char* label, bool log, const std::vector<double>& values) {
  Axis axis;
  axis.label = label;
  axis.log = log;
  bool first = true;
  for (const double value : values) {
    if (!std::isfinite(value) || (log && value <= 0)) continue;
    axis.low = first ? value : std::min(axis.low, value);
    axis.high = first ? value : std::max(axis.high, value);
    first = false;
  }
  if (first) axis.low = axis.high = 1;
  // Less than a factor of four reads better on even steps.
  axis.log = log = log && axis.high > 4 * axis.low;
  constexpr double kMargin = 0.06;
  if (log) {
    const double factor = std::max(std::pow(axis.high / axis.low, kMargin), 1.05);
    axis.low /= factor;
    axis.high *= factor;
  } else {
    double margin = kMargin * (axis.high - axis.low);
    if (margin <= 0) margin = std::max(std::fabs(axis.high) * 0.1, 1e-9);
    // Nothing that cannot be negative gets an axis that says it could.
    axis.low = axis.low >= 0 ? std::max(0.0, axis.low - margin) : axis.low - margin;
    axis.high += margin;
  }
  return axis;
}

double Axis::Share(double value) const {
  if (log) {
    return value > 0 ? std::log(value / low) / std::log(high / low) : 0;
  }
  return (value - low) / (high - low);
}

std::vector<double> Axis::Ticks() const {
  std::vector<double> ticks;
  if (log && high / low > 4) {
    const double decades = std::log10(high / low);
    for (double decade = std::floor(std::log10(low)); decade <= std::log10(high); ++decade) {
      for (const double digit : {1.0, 2.0, 5.0}) {
        if (digit > 1 && decades > 2.2) continue;
        const double tick = std::pow(10, decade) * digit;
        if (tick >= low && tick <= high) ticks.push_back(tick);
      }
    }
    return ticks;
  }
  const double rough = (high - low) / 4.5;
  const double power = std::pow(10, std::floor(std::log10(rough)));
  double step = power;
  for (const double digit : {2.0, 5.0, 10.0}) {
    if (step < rough) step = digit * power;
  }
  for (double i = std::ceil(low / step); i * step <= high; ++i) ticks.push_back(i * step);
  return ticks;
}

std::string Axis::Text(double value) const {
  if (percent) return ShortNumber(value * 100) + "%";
  return ShortNumber(std::fabs(value) < (high - low) * 1e-9 ? 0 : value);
}

Plot::Plot(const std::string& title, const std::string& description, int width, int height)
    : width_(width), height_(height) {
  svg_ = Format("<svg viewBox=\"0 0 %d %d\" role=\"img\" tabindex=\"0\" aria-label=\"", width,
                height) +
         Escaped(title) + "\"><title>" + Escaped(title) + "</title><desc>" + Escaped(description) +
         "</desc>";
}

double Plot::X(double value) const { return left() + x_.Share(value) * (right() - left()); }
double Plot::Y(double value) const { return bottom() - y_.Share(value) * (bottom() - top()); }

void Plot::Axes(const Axis& x, const Axis& y) {
  x_ = x;
  y_ = y;
  std::string grid;
  for (const double tick : y.Ticks()) {
    grid += Format("M%d ", left()) + Coordinate(Y(tick)) + Format("H%d", right());
    Text(left() - 6, Y(tick) + 4, "te", y.Text(tick));
  }
  double last = -1e9;
  for (const double tick : x.Ticks()) {
    grid += "M" + Coordinate(X(tick)) + Format(" %dV%d", top(), bottom());
    if (X(tick) - last < 44) continue;
    last = X(tick);
    Text(last, bottom() + 16, "tm", x.Text(tick));
  }
  svg_ += "<path class=\"grid\" d=\"" + grid + "\"/>";
  svg_ += Format("<path class=\"axis\" d=\"M%d %dV%dH%d\"/>", left(), top(), bottom(), right());
  Text((left() + right()) / 2, height_ - 8, "tm lab", x.label);
  svg_ += Format("<text transform=\"translate(13 %d) rotate(-90)\" class=\"tm lab\">",
                 (top() + bottom()) / 2) +
          Escaped(y.label) + "</text>";
}

void Plot::Line(const std::vector<std::pair<double, double>>& points, const char* css, bool steps) {
  std::string path;
  for (const auto& [x, y] : points) {
    if (!std::isfinite(x) || !std::isfinite(y)) continue;
    const std::string px = Coordinate(X(x)), py = Coordinate(Y(y));
    path += path.empty() ? "M" + px + " " + py : steps ? "H" + px + "V" + py : "L" + px + " " + py;
  }
  if (!path.empty()) {
    svg_ += std::string("<path class=\"line ") + css + "\" d=\"" + path + "\"/>";
  }
}

void Plot::Put(double x, double y, Mark mark, const char* css, const std::string& tip) {
  if (!std::isfinite(x) || !std::isfinite(y)) return;
  // Around the origin, moved to the place.
  constexpr const char* kPaths[] = {
      "m-2 0a2 2 0 1 0 4 0a2 2 0 1 0-4 0",                                     // dot
      "m-4.5 0a4.5 4.5 0 1 0 9 0a4.5 4.5 0 1 0-9 0",                           // circle
      "m-4-4h8v8h-8z",                                                         // square
      "m0-5.5l5 9h-10z",                                                       // triangle
      "m-3-3l6 6m0-6l-6 6",                                                    // cross
      "m0-6.5l6.5 6.5l-6.5 6.5l-6.5-6.5z",                                     // diamond
      "m0-9l2.6 5.5l6 .8l-4.3 4.2l1 6l-5.3-2.9l-5.3 2.9l1-6l-4.3-4.2l6-.8z"};  // star
  svg_ += std::string("<path class=\"") + css + "\" d=\"M" + Coordinate(X(x)) + " " +
          Coordinate(Y(y)) + kPaths[static_cast<size_t>(mark)] + "\"";
  if (!tip.empty()) svg_ += " data-t=\"" + Escaped(tip) + "\"";
  svg_ += "/>";
}

void Plot::Text(double x, double y, const char* css, const std::string& text) {
  svg_ += "<text" + Attribute("x", x) + Attribute("y", y) + " class=\"" + css + "\">" +
          Escaped(text) + "</text>";
}

void Plot::Rect(double x, double y, double width, double height, const std::string& css,
                const std::string& tip) {
  svg_ += "<rect" + Attribute("x", x) + Attribute("y", y) +
          Attribute("width", std::max(width, 0.0)) + Attribute("height", std::max(height, 0.0)) +
          " class=\"" + css + "\"";
  if (!tip.empty()) svg_ += " data-t=\"" + Escaped(tip) + "\"";
  svg_ += "/>";
}

std::string Plot::Finish() { return std::move(svg_) + "</svg>"; }

}  // namespace rhnas::search

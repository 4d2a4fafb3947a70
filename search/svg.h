// Plots as SVG to stand inside an HTML page: no colours, only classes that the page's style sheet
// knows, so that a picture follows the reader's theme. Every text is escaped; the result is
// well-formed XML. Coordinates have one decimal, written the same in every locale.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace rhnas::search {

// & < > " as entities, line ends as &#10;, other control characters as '?'.
std::string Escaped(const std::string& text);
// "12.3"; "0" for what is not finite.
std::string Coordinate(double value);
// " name=\"12.3\"".
std::string Attribute(const char* name, double value);
// For people: "1.24 M", "0.061"; at most four digits.
std::string ShortNumber(double value);

struct Axis {
  const char* label = "";
  bool log = false;
  bool percent = false;  // values are shares
  double low = 0, high = 1;

  // From the least to the largest of `values` with a margin. Values that a logarithmic axis cannot
  // show are passed over.
  static Axis Around(const char* label, bool log, const std::vector<double>& values);
  double Share(double value) const;  // 0 at low, 1 at high
  std::vector<double> Ticks() const;
  std::string Text(double value) const;
};

// Shapes of marks: what a colour says is said by a shape too.
enum class Mark { kDot, kCircle, kSquare, kTriangle, kCross, kDiamond, kStar };

class Plot {
 public:
  // `title` and `description` are for readers who do not see the picture.
  Plot(const std::string& title, const std::string& description, int width = 480, int height = 300);
  // Draws both axes with their grid. REQUIRES: before all that takes values.
  void Axes(const Axis& x, const Axis& y);
  double X(double value) const;
  double Y(double value) const;
  void Line(const std::vector<std::pair<double, double>>& points, const char* css,
            bool steps = false);
  // With a hover text where `tip` is not empty.
  void Put(double x, double y, Mark mark, const char* css, const std::string& tip);
  // In coordinates of the picture.
  void Text(double x, double y, const char* css, const std::string& text);
  void Rect(double x, double y, double width, double height, const std::string& css,
            const std::string& tip);
  void Raw(const std::string& svg) { svg_ += svg; }
  int left() const { return kLeft; }
  int right() const { return width_ - kRight; }
  int top() const { return kTop; }
  int bottom() const { return height_ - kBottom; }
  std::string Finish();

 private:
  static constexpr int kLeft = 56, kRight = 14, kTop = 14, kBottom = 44;
  int width_, height_;
  Axis x_, y_;
  std::string svg_;
};

}  // namespace rhnas::search

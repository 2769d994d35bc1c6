// Plots as SVG, by Vega-Lite without a browser: the score of each row with its interval, and beside it what each contender
// took. The library is loaded only where something is plotted.
import type { TopLevelSpec } from "vega-lite";
import type { Figure } from "./figure.js";

const rowHeight = 18;
/** One colour for each contender, wherever it stands. */
const color = { field: "contender", type: "nominal", sort: null, title: null } as const;

function scores({ rows, score, even, higherIsBetter }: Figure) {
  const values = rows.flatMap(({ name, score: estimate, others = {} }) => [
    ...(estimate ? [{ name, contender: "zio", ...estimate }] : []),
    ...Object.entries(others).map(([contender, other]) => ({ name, contender, ...other })),
  ]);
  const y = { field: "name", type: "nominal", sort: null, title: null, axis: { labelLimit: 320 } } as const;
  return {
    width: 220,
    height: { step: rowHeight * 2 },
    title: `${score}, ${higherIsBetter ? "more" : "less"} is better`,
    layer: [
      {
        data: { values: [{ even }] },
        mark: { type: "rule", strokeDash: [4, 3], color: "#888" },
        encoding: { x: { datum: even } },
      },
      {
        data: { values },
        mark: { type: "rule", strokeWidth: 2 },
        encoding: {
          y,
          x: { field: "low", type: "quantitative", title: null, scale: { zero: false } },
          x2: { field: "high" },
          color,
        },
      },
      {
        data: { values },
        mark: { type: "point", filled: true, size: 60, opacity: 1 },
        encoding: { y, x: { field: "median", type: "quantitative", title: null }, color },
      },
    ],
  };
}

function contenders({ rows, values: title }: Figure) {
  const values = rows.flatMap(({ name, values: each }) =>
    Object.entries(each).map(([contender, { median }]) => ({ name, contender, median })),
  );
  return {
    width: 320,
    height: { step: rowHeight },
    title,
    data: { values },
    mark: { type: "bar" },
    encoding: {
      y: { field: "name", type: "nominal", sort: null, title: null, axis: { labelLimit: 320 } },
      yOffset: { field: "contender", sort: null },
      x: { field: "median", type: "quantitative", title: null },
      color,
    },
  };
}

/** One plot with the row's names down its left side. */
export async function plotSvg(figure: Figure): Promise<string> {
  const [vega, vegaLite] = await Promise.all([import("vega"), import("vega-lite")]);
  const hasScores = figure.rows.some(({ score }) => score !== null);
  const spec = {
    $schema: "https://vega.github.io/schema/vega-lite/v6.json",
    background: "white",
    title: { text: figure.title, anchor: "start" },
    hconcat: hasScores ? [scores(figure), contenders(figure)] : [contenders(figure)],
    resolve: { scale: { y: "independent", color: "shared" } },
  };
  const compiled = vegaLite.compile(spec as unknown as TopLevelSpec).spec;
  const view = new vega.View(vega.parse(compiled), { renderer: "none", logLevel: vega.Error });
  try {
    return await view.toSVG();
  } finally {
    view.finalize();
  }
}

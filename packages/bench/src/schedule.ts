// The order of samples. Machines drift; what is compared must lie close together and in balanced order: of each pair of
// rounds the second runs backwards, so that two contenders come as A B B A and no cell always comes first.

/** One point of a sweep. */
export interface Cell<Parameters> {
  name: string;
  parameters: Parameters;
}

export interface Slot<Parameters, Contender> {
  pair: number;
  /** Position in the whole run, from 0. */
  position: number;
  cell: Cell<Parameters>;
  contender: Contender;
}

export function* interleave<Parameters, Contender>(
  cells: readonly Cell<Parameters>[],
  contenders: readonly Contender[],
  pairs: number,
): Generator<Slot<Parameters, Contender>> {
  let position = 0;
  for (let pair = 0; pair < pairs; pair++) {
    const backwards = pair % 2 === 1;
    for (const cell of backwards ? [...cells].reverse() : cells)
      for (const contender of backwards ? [...contenders].reverse() : contenders)
        yield { pair, position: position++, cell, contender };
  }
}

import type { Result } from './bench.ts';
import { formatMachine, type Machine } from './machine.ts';
import { figure } from './print.ts';

const [width, left, right, bar, gap, top] = [860, 330, 150, 12, 16, 46] as const;
const palette = ['#0b6e99', '#b8bec4', '#8d959c', '#6b7278', '#50565b', '#3f7a5a', '#7fb3cf'];

/** Names in a row of the legend. */
const inRow = 5;

/** Bars of all results: of each load the longest is the greatest value. Shown as it is, in light and dark pages. */
export function chart(results: readonly Result[], machine: Machine): string {
  const contestants = [...new Set(results.flatMap(({ figures }) => figures.map(({ contestant }) => contestant)))];
  const color = (contestant: string): string => palette[contestants.indexOf(contestant) % palette.length] ?? '';
  const parts: string[] = [];
  let y = top + Math.floor((contestants.length - 1) / inRow) * 16;
  for (const { title, unit, better, figures } of results) {
    const greatest = Math.max(...figures.map(({ value }) => value.median));
    const middle = y + (figures.length * bar) / 2 + 4;
    const less = better === 'less' ? ', less is better' : '';
    parts.push(text(left - 10, middle, `${title} (${unit}${less})`, 'end'));
    for (const { contestant, value } of figures) {
      const length = ((width - left - right) * value.median) / greatest;
      parts.push(
        `<rect x="${left}" y="${y}" width="${length.toFixed(1)}" height="${bar - 2}" fill="${color(contestant)}"/>`,
        text(left + length + 6, y + bar - 3, figure(value.median)),
      );
      y += bar;
    }
    y += gap;
  }
  const legend = contestants.flatMap((contestant, place) => {
    const [x, line] = [12 + (place % inRow) * 150, Math.floor(place / inRow) * 16 + 14];
    const square = `<rect x="${x}" y="${line}" width="12" height="12" fill="${color(contestant)}"/>`;
    return [square, text(x + 18, line + 10, contestant)];
  });
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${y + 20}" font-family="sans-serif" font-size="11">`,
    `<rect width="100%" height="100%" fill="#fff"/>`,
    ...legend,
    ...parts,
    text(12, y + 8, formatMachine(machine)),
    '</svg>',
    '',
  ].join('\n');
}

function text(x: number, y: number, content: string, anchor: 'start' | 'end' = 'start'): string {
  const escaped = content.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
  return `<text x="${x.toFixed(1)}" y="${y.toFixed(1)}" text-anchor="${anchor}" fill="#24292f">${escaped}</text>`;
}

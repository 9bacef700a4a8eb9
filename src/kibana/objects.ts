import { streamName } from '../../ingest/sinks/templates.ts';
import { bars, barsOverTime, type KibanaQuery, type Lens, type Reference, table } from './lens.ts';

/** A saved object, as Kibana exports and imports it. */
export interface SavedObject {
  readonly type: 'index-pattern' | 'search' | 'dashboard';
  readonly id: string;
  readonly attributes: object;
  readonly references: readonly Reference[];
  readonly coreMigrationVersion: string;
  readonly typeMigrationVersion: string;
}

/** A data view, as Kibana's API takes it. */
export interface DataView {
  readonly id: string;
  readonly title: string;
  readonly name: string;
  readonly timeFieldName: '@timestamp';
}

/** What Kibana is given for a data stream. */
export interface KibanaObjects {
  readonly dataView: DataView;
  /** The data view, a search and a dashboard. */
  readonly savedObjects: readonly SavedObject[];
}

/** Columns of the search: beside the time they are host, cluster, image, tag, level and message. */
export const searchColumns: readonly string[] = [
  'host.name',
  'orchestrator.cluster.name',
  'container.image.name',
  'container.image.tag',
  'log.level',
  'message',
];

/** Levels that are errors, as `log.level` has them: a severity's name, or what applications write, in lower case. */
export const errorLevels: readonly string[] = [
  'emergency',
  'alert',
  'critical',
  'fatal',
  'panic',
  'severe',
  'error',
  'err',
];

/** "Saved objects can only be imported into the same version, a newer minor on the same major, or the next major." */
const versions = { core: '8.8.0', 'index-pattern': '8.0.0', search: '8.0.0', dashboard: '8.9.0' } as const;

/** The objects for the data stream of a dataset and a namespace. Their ids are fixed: made again, they are replaced. */
export function kibanaObjects(stream: { readonly dataset: string; readonly namespace: string }): KibanaObjects {
  const title = streamName(stream);
  const id = `shiplog-${title}`;
  const dataView: DataView = { id, title, name: `shiplog: ${title}`, timeFieldName: '@timestamp' };
  const { id: _id, ...attributes } = dataView;
  return {
    dataView,
    savedObjects: [savedObject('index-pattern', id, attributes, []), savedSearch(dataView), dashboard(dataView)],
  };
}

/** Saved objects as a file that Kibana imports: one a line. */
export function toNdjson(objects: readonly SavedObject[]): string {
  return objects.map((object) => `${JSON.stringify(object)}\n`).join('');
}

function savedObject(
  type: SavedObject['type'],
  id: string,
  attributes: object,
  references: readonly Reference[],
): SavedObject {
  const version = { coreMigrationVersion: versions.core, typeMigrationVersion: versions[type] };
  return { type, id, attributes, references, ...version };
}

const everything: KibanaQuery = { query: '', language: 'kuery' };
const errors: KibanaQuery = { query: `log.level: (${errorLevels.join(' or ')})`, language: 'kuery' };

function savedSearch({ id, title }: DataView): SavedObject {
  const index = 'kibanaSavedObjectMeta.searchSourceJSON.index';
  const source = { query: everything, filter: [], indexRefName: index };
  return savedObject(
    'search',
    `${id}-lines`,
    {
      title: `Lines of ${title}`,
      description: 'Made by shiplog',
      columns: searchColumns,
      sort: [['@timestamp', 'desc']],
      kibanaSavedObjectMeta: { searchSourceJSON: JSON.stringify(source) },
    },
    [{ type: 'index-pattern', id, name: index }],
  );
}

/** Where a panel lies; a dashboard is 48 wide. */
interface Place {
  readonly x: number;
  readonly y: number;
  readonly w: number;
  readonly h: number;
}

/** The dashboard: lines over time by image; errors by host beside who writes most; the lines below. */
function dashboard({ id, title }: DataView): SavedObject {
  const by = (field: string, label: string, size: number, other = false) => ({ field, label, size, other });
  const overTime = barsOverTime(
    { dataView: id, title: 'Lines over time, by image', query: everything },
    by('container.image.name', 'Image', 10, true),
  );
  const failing = bars({ dataView: id, title: 'Errors by host', query: errors }, by('host.name', 'Host', 20));
  const talking = table({ dataView: id, title: 'Top talkers', query: everything }, [
    by('host.name', 'Host', 10),
    by('container.name', 'Container', 10),
  ]);
  const panels = [
    lensPanel('1', { x: 0, y: 0, w: 48, h: 14 }, overTime),
    lensPanel('2', { x: 0, y: 14, w: 24, h: 14 }, failing),
    lensPanel('3', { x: 24, y: 14, w: 24, h: 14 }, talking),
    searchPanel('4', { x: 0, y: 28, w: 48, h: 20 }, `${id}-lines`),
  ];
  return savedObject(
    'dashboard',
    `${id}-overview`,
    {
      title: `Logs of ${title}`,
      description: 'Made by shiplog',
      timeRestore: true,
      timeFrom: 'now-24h',
      timeTo: 'now',
      optionsJSON: JSON.stringify({ useMargins: true, syncColors: true, syncCursor: true, syncTooltips: false }),
      panelsJSON: JSON.stringify(panels.map(({ panel }) => panel)),
      kibanaSavedObjectMeta: { searchSourceJSON: JSON.stringify({ query: everything, filter: [] }) },
    },
    panels.flatMap(({ references }) => references),
  );
}

interface Panel {
  readonly panel: object;
  readonly references: readonly Reference[];
}

/** A panel that holds its visualization. Its references stand in the dashboard too, under the panel's index. */
function lensPanel(index: string, place: Place, { attributes, references }: Lens): Panel {
  return {
    panel: {
      type: 'lens',
      panelIndex: index,
      gridData: { ...place, i: index },
      embeddableConfig: { attributes, enhancements: {} },
    },
    references: references.map((reference) => ({ ...reference, name: `${index}:${reference.name}` })),
  };
}

function searchPanel(index: string, place: Place, id: string): Panel {
  const name = `panel_${index}`;
  return {
    panel: {
      type: 'search',
      panelIndex: index,
      gridData: { ...place, i: index },
      embeddableConfig: { enhancements: {} },
      panelRefName: name,
    },
    references: [{ type: 'search', id, name: `${index}:${name}` }],
  };
}

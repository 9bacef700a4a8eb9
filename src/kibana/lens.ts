/** What a saved object refers to. */
export interface Reference {
  readonly type: string;
  readonly id: string;
  readonly name: string;
}

/** A Lens visualization as it stands in a panel of a dashboard. */
export interface Lens {
  readonly attributes: object;
  readonly references: readonly Reference[];
}

/** A query of Kibana's language, KQL. */
export interface KibanaQuery {
  readonly query: string;
  readonly language: 'kuery';
}

/** The only layer of each. */
const layerId = 'lines';
const countColumn = 'count';

interface Terms {
  readonly field: string;
  readonly label: string;
  /** So many of the most frequent values. */
  readonly size: number;
  /** Whether the rest is shown as one more. */
  readonly other: boolean;
}

function count(): object {
  return {
    label: 'Lines',
    customLabel: true,
    dataType: 'number',
    operationType: 'count',
    isBucketed: false,
    scale: 'ratio',
    sourceField: '___records___',
    params: { emptyAsNull: false },
  };
}

function terms({ field, label, size, other }: Terms): object {
  return {
    label,
    customLabel: true,
    dataType: 'string',
    operationType: 'terms',
    scale: 'ordinal',
    sourceField: field,
    isBucketed: true,
    params: {
      size,
      orderBy: { type: 'column', columnId: countColumn },
      orderDirection: 'desc',
      otherBucket: other,
      missingBucket: false,
      parentFormat: { id: 'terms' },
    },
  };
}

function overTime(): object {
  return {
    label: '@timestamp',
    dataType: 'date',
    operationType: 'date_histogram',
    isBucketed: true,
    scale: 'interval',
    sourceField: '@timestamp',
    params: { interval: 'auto', includeEmptyRows: true, dropPartials: false },
  };
}

/** The parts of a Lens visualization, but for how it is drawn. */
interface Drawing {
  readonly dataView: string;
  readonly title: string;
  readonly query: KibanaQuery;
  /** By their ids, in order: what divides first, then the count. */
  readonly columns: Readonly<Record<string, object>>;
  readonly type: 'lnsXY' | 'lnsDatatable';
  readonly visualization: object;
}

function lens({ dataView, title, query, columns, type, visualization }: Drawing): Lens {
  const references = [{ type: 'index-pattern', id: dataView, name: `indexpattern-datasource-layer-${layerId}` }];
  const layer = { columnOrder: Object.keys(columns), columns, incompleteColumns: {}, sampling: 1 };
  return {
    references,
    attributes: {
      title,
      description: '',
      type: 'lens',
      visualizationType: type,
      state: {
        datasourceStates: { formBased: { layers: { [layerId]: layer } } },
        visualization,
        query,
        filters: [],
        internalReferences: [],
        adHocDataViews: {},
      },
      references,
    },
  };
}

/** How it is drawn, beside what it is drawn of. */
type Chart = Pick<Drawing, 'dataView' | 'title' | 'query'>;

/** Lines over time, in stacked bars by the values of a field. */
export function barsOverTime(chart: Chart, split: Terms): Lens {
  const layer = { xAccessor: 'time', splitAccessor: 'split', accessors: [countColumn], seriesType: 'bar_stacked' };
  return lens({
    ...chart,
    columns: { split: terms(split), time: overTime(), [countColumn]: count() },
    type: 'lnsXY',
    visualization: {
      layers: [{ layerId, layerType: 'data', ...layer }],
      preferredSeriesType: 'bar_stacked',
      legend: { isVisible: true, position: 'right' },
      valueLabels: 'hide',
      fittingFunction: 'None',
    },
  });
}

/** Lines by the values of a field, in lying bars. */
export function bars(chart: Chart, by: Terms): Lens {
  return lens({
    ...chart,
    columns: { by: terms(by), [countColumn]: count() },
    type: 'lnsXY',
    visualization: {
      layers: [{ layerId, layerType: 'data', xAccessor: 'by', accessors: [countColumn], seriesType: 'bar_horizontal' }],
      preferredSeriesType: 'bar_horizontal',
      legend: { isVisible: false, position: 'right' },
      valueLabels: 'show',
      fittingFunction: 'None',
    },
  });
}

/** Lines by the values of fields, one within the other, in a table. */
export function table(chart: Chart, by: readonly Terms[]): Lens {
  const divided = by.map((one, index) => [`by${index}`, terms(one)] as const);
  const columns = { ...Object.fromEntries(divided), [countColumn]: count() };
  return lens({
    ...chart,
    columns,
    type: 'lnsDatatable',
    visualization: {
      layerId,
      layerType: 'data',
      columns: Object.keys(columns).map((columnId) => ({ columnId })),
      sorting: { columnId: countColumn, direction: 'desc' },
    },
  });
}

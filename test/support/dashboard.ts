interface Dashboard {
  panels: { targets: { expr: string }[] }[];
}

/** The queries of a dashboard of Grafana's. */
export function dashboardExpressions(json: string): string[] {
  const { panels } = JSON.parse(json) as Dashboard;
  return panels.flatMap(({ targets }) => targets.map(({ expr }) => expr));
}

/** The host's series that a query names. */
export function namesIn(expression: string): string[] {
  return expression.match(/\bclaudecluster_\w+/g) ?? [];
}

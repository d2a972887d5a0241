-- What gateways say of themselves, for `gannet status`: see libs/exchange/gateway_reports.h.
CREATE TABLE gannet.gateway_report (
  gateway text PRIMARY KEY,
  refusing text NOT NULL,  -- labels of reasons, separated by commas
  reported_at timestamptz NOT NULL
);

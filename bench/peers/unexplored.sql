WITH accepted AS (
  SELECT id FROM experiment WHERE campaign = :campaign AND status = 'keep' ORDER BY seq DESC LIMIT 1
),
made AS (SELECT * FROM trial WHERE campaign = :campaign),
won AS (SELECT component, SUM(outcome = 'improved') AS wins FROM made GROUP BY component),
held AS (
  SELECT knob, value, CASE WHEN typeof(value) <> 'text' THEN value END AS present
  FROM regime
  WHERE campaign = :campaign AND until IS NULL AND NOT EXISTS (
    SELECT 1 FROM accepted JOIN idle i ON i.experiment = accepted.id
    WHERE i.knob = regime.knob AND (why = 'inert' OR i.knob NOT IN (SELECT knob FROM made)))
),
against AS (
  SELECT t.*, status = 'keep' AS kept,
    CASE WHEN status = 'keep' THEN old ELSE new END AS worse
  FROM made t JOIN experiment e ON e.id = t.experiment
),
beside AS (
  SELECT h.*, experiment, seq, worse, direction,
    typeof(worse) <> 'text' AND worse < present AS below,
    typeof(worse) <> 'text' AND worse > present AS above,
    NOT kept AS failed,
    alone AND NOT COALESCE(ABS(delta) <= noise, 0) AND (outcome = 'improved' OR NOT kept) AS shows
  FROM held h
  LEFT JOIN against t ON t.knob = h.knob
  JOIN campaign c ON c.name = :campaign
),
known AS (
  SELECT knob, value, present, COUNT(DISTINCT experiment) AS n, MAX(seq) AS last,
    MAX(CASE WHEN below THEN worse END) AS low, MIN(CASE WHEN above THEN worse END) AS high,
    MAX(CASE WHEN below AND shows THEN worse END) AS worse_low,
    MIN(CASE WHEN above AND shows THEN worse END) AS worse_high,
    MAX(COALESCE(direction = 'decrease' OR below AND failed, 0)) AS gone_down,
    MAX(COALESCE(direction = 'increase' OR above AND failed, 0)) AS gone_up
  FROM beside GROUP BY knob
),
judged AS (
  SELECT *, present <> 0 AND NOT gone_down AS no_decrease,
    present IS NOT NULL AND NOT gone_up AS no_increase,
    worse_high IS NOT NULL AND (worse_low IS NOT NULL OR present = 0) AS bracketed
  FROM known
),
stated AS (
  SELECT *, CASE WHEN n = 0 THEN 'never touched'
      WHEN bracketed THEN 'bracketed'
      WHEN COALESCE(no_decrease, 0) + no_increase = 1 THEN 'one direction'
      ELSE 'open' END AS state
  FROM judged
)
SELECT component, knob, s.value, state,
  TRIM(CASE WHEN no_decrease THEN 'decrease ' ELSE '' END
    || CASE WHEN no_increase THEN 'increase' ELSE '' END),
  CASE WHEN bracketed THEN worse_low ELSE low END,
  CASE WHEN bracketed THEN worse_high ELSE high END,
  n, e.name
FROM stated s
JOIN component USING (knob)
LEFT JOIN won USING (component)
LEFT JOIN experiment e ON e.campaign = :campaign AND e.seq = last
WHERE component NOT IN ('evaluation', 'other')
ORDER BY CASE state WHEN 'never touched' THEN 0 WHEN 'one direction' THEN 1 WHEN 'open' THEN 2
    ELSE 3 END,
  -COALESCE(wins, 0), component, knob
LIMIT 200
